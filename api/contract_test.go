package api_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"
)

// contract is the document that the server serves, against which every answer to every test of this
// package is held. It is the same for all servers, so it is read once.
var contract struct {
	once  sync.Once
	mu    sync.Mutex
	check validator.Validator
}

func (r *fixture) loadContract() {
	contract.once.Do(func() {
		resp, err := http.Get(r.url + "/docs/openapi.json")
		require.NoError(r.t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(r.t, err)
		document, err := libopenapi.NewDocument(body)
		require.NoError(r.t, err)
		check, errs := validator.NewValidator(document)
		require.Empty(r.t, errs)
		contract.check = check
	})
}

// keepsContract reports where an answer is not what the document says. Pages, streams and what no
// route answers are not in it.
func keepsContract(t *testing.T, req *http.Request, a answer) {
	t.Helper()
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if contract.check == nil || media != "application/json" && media != "application/problem+json" || a.status == http.StatusMethodNotAllowed {
		return
	}
	resp := &http.Response{
		StatusCode: a.status, Header: a.header, Request: req,
		Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)),
	}
	contract.mu.Lock()
	defer contract.mu.Unlock()
	valid, faults := contract.check.ValidateHttpResponse(req, resp)
	if valid {
		return
	}
	for _, fault := range faults {
		if fault.IsPathMissingError() || fault.IsOperationMissingError() {
			continue // a page, or no route at all: TestTheDocumentIsTheTableOfRoutes sees to the rest
		}
		t.Errorf("%s %s: %d is not what the document says: %s: %s", req.Method, req.URL.Path, a.status, fault.Message, fault.Reason)
		for _, detail := range fault.SchemaValidationErrors {
			t.Errorf("  %s: %s", detail.FieldPath, detail.Reason)
		}
	}
}
