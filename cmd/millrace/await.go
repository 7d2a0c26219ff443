package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"millrace/api/types"
	"millrace/ops/routine"
	"millrace/store"
)

const (
	// databaseWait is how long a process that starts waits for a database that is away, as while all of a machine starts. A
	// supervisor sees what stays away for longer by the exit.
	databaseWait  = 2 * time.Minute
	databaseFirst = 100 * time.Millisecond
	databaseMost  = 2 * time.Second
	databasePing  = 5 * time.Second
)

// awaiting is what a process that starts waits for.
type awaiting struct{ what atomic.Value }

// String is empty when it waits for nothing.
func (a *awaiting) String() string {
	what, _ := a.what.Load().(string)
	return what
}

// awaitDatabase returns once the database answers, and else the error: at once when waiting cannot help, as of a wrong
// password. begun is called before the first wait.
func awaitDatabase(ctx context.Context, env *environment, ping func(context.Context) error, within time.Duration, begun func() error) error {
	defer env.awaits.what.Store("")
	pause, began := databaseFirst, time.Now()
	for waits := 0; ; waits++ {
		err := pingOnce(ctx, ping)
		if err == nil && waits > 0 {
			env.logger.InfoContext(ctx, "the database answers", slog.Duration("after", time.Since(began)))
		}
		if store.Pooled(err) {
			return fmt.Errorf("the database's URL leads to a pooler, which cannot hold sessions of ours: give the server's own (%w)", err)
		}
		if err == nil || ctx.Err() != nil || !store.Transient(err) || time.Since(began) > within {
			return err
		}
		if waits == 0 {
			env.awaits.what.Store("the database")
			env.logger.WarnContext(ctx, "the database is away; waiting for it", slog.Any("error", err), slog.Duration("within", within))
			if err := begun(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, databaseMost)
	}
}

func pingOnce(ctx context.Context, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, databasePing)
	defer cancel()
	return ping(ctx)
}

// placeholder answers at the API's address while it waits: that it lives, and that it is not ready.
type placeholder struct {
	server *http.Server
	done   chan struct{}
}

func newPlaceholder(listener net.Listener, cert *certificate) *placeholder {
	p := &placeholder{server: &http.Server{Handler: http.HandlerFunc(notReady), ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	serving := func() error { return p.server.Serve(listener) }
	if cert != nil {
		p.server.TLSConfig = cert.config()
		serving = func() error { return p.server.ServeTLS(listener, "", "") }
	}
	routine.Go(serving, func(error) { close(p.done) })
	return p
}

// close also closes the listener, whose address is free then.
func (p *placeholder) close() {
	_ = p.server.Close() // of connections that wait for nothing
	<-p.done
}

func notReady(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}`)) // fails only when the client has gone
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", strconv.Itoa(int(databaseMost.Seconds())))
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(types.ProblemError{
		Type: "about:blank", Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
		Detail: "The server waits for the database.", Instance: r.URL.Path,
		Errors: []types.FieldError{{Field: "database", Message: "is not ready"}},
	})
}
