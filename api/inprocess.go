package api

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	"millrace/api/console"
	"millrace/store/tenants"
)

// insider is who a request from within the process comes from. Nothing that arrives over the network
// can have one.
type insider struct {
	principal tenants.Principal
	admin     bool
}

type insiderKey struct{}

func insiderOf(req *http.Request) (insider, bool) {
	who, ok := req.Context().Value(insiderKey{}).(insider)
	return who, ok
}

// Call answers a request of the console as the same request over HTTP would be: by the table of
// routes, with its checks and limits.
func (s *Server) Call(ctx context.Context, call console.Request) console.Answer {
	who := insider{principal: tenants.Principal{WorkspaceID: call.Workspace, Role: tenants.RoleOwner}, admin: call.Admin}
	if from, ok := visitorOf(ctx); ok && from.person != nil {
		who = insider{principal: *from.person} // whatever the page asks for
	}
	ctx = context.WithValue(ctx, insiderKey{}, who)
	answer := &keptAnswer{header: http.Header{}, status: http.StatusOK}
	target, err := url.Parse(call.Path)
	if err != nil {
		return console.Answer{Status: http.StatusNotFound, Header: answer.header}
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, target.RequestURI(), call.Body)
	if err != nil {
		return console.Answer{Status: http.StatusBadRequest, Header: answer.header}
	}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	if call.ContentType == "" {
		call.ContentType = "application/json"
	}
	req.Header.Set("Content-Type", call.ContentType)
	if call.Key != "" {
		req.Header.Set(idempotencyHeader, call.Key)
	}
	if of := call.OnBehalfOf; of != nil {
		req.RemoteAddr, req.Host = of.RemoteAddr, of.Host
		for _, name := range []string{"X-Forwarded-For", "X-Request-Id"} {
			req.Header[name] = of.Header[name]
		}
	}
	s.echo.ServeHTTP(answer, req)
	return console.Answer{Status: answer.status, Header: answer.header, Body: answer.body.Bytes()}
}

// keptAnswer is a response that is kept in memory.
type keptAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (k *keptAnswer) Header() http.Header { return k.header }

// WriteHeader implements http.ResponseWriter.
func (k *keptAnswer) WriteHeader(status int) { k.status = status }

// Write implements http.ResponseWriter.
func (k *keptAnswer) Write(body []byte) (int, error) { return k.body.Write(body) }
