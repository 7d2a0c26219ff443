package api

import (
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// repeatable are the unsafe routes that need no idempotency key, with the reason why.
var repeatable = map[string]string{
	"POST /datasets":          "the content decides what is stored",
	"POST /datasets/inspect":  "stores nothing",
	"POST /datasets/:id/bars": "the content decides what is stored: bars that are there make no version",
	"PATCH /datasets/:id":     "the same description again makes no version",
	"POST /query":             "it reads",

	"POST /backtests/tunes/:id/cancel": "what is cancelled stays so",
	"POST /run-plans/:id/cancel":       "what is cancelled stays so",
	"POST /backtests/wfo/:id/cancel":   "what is cancelled stays so",
	"POST /ingest/jobs/:id/cancel":     "what is cancelled stays so",
	"DELETE /documents/:id":            "what is deleted stays so",

	"DELETE /workspace/keys/:key":            "what is revoked stays so",
	"PATCH /admin/workspaces/:id":            "the same change again changes nothing",
	"DELETE /admin/workspaces/:id/keys/:key": "what is revoked stays so",

	"DELETE /backtests/tunes/:id":       "a repeat is answered with the deletion that runs",
	"DELETE /backtests/wfo/:id":         "a repeat is answered with the deletion that runs",
	"DELETE /backtests/runs/:id":        "a repeat is answered with the deletion that runs",
	"DELETE /run-plans/:id":             "a repeat is answered with the deletion that runs",
	"DELETE /datasets/:id":              "a repeat is answered with the deletion that runs",
	"POST /backtests/tunes/:id/archive": "what is archived stays so",
	"POST /backtests/tunes/:id/restore": "what is restored stays so",
	"POST /backtests/wfo/:id/archive":   "what is archived stays so",
	"POST /backtests/wfo/:id/restore":   "what is restored stays so",
	"POST /run-plans/:id/archive":       "what is archived stays so",
	"POST /backtests/runs/:id/archive":  "what is archived stays so",
	"POST /run-plans/:id/restore":       "what is restored stays so",
	"POST /backtests/runs/:id/restore":  "what is restored stays so",
	"POST /datasets/:id/archive":        "what is archived stays so",
	"POST /datasets/:id/restore":        "what is restored stays so",
	"POST /documents/:id/archive":       "what is archived stays so",
	"POST /documents/:id/restore":       "what is restored stays so",
	"POST /strategies/:id/archive":      "what is archived stays so",
	"POST /strategies/:id/restore":      "what is restored stays so",

	"POST /kb/recommend":                        "it reads, and notes that it was asked",
	"DELETE /strategies/:id":                    "what is deleted stays so",
	"POST /strategies/check":                    "it stores nothing",
	"POST /backtests/tunes/:id/explain":         "the last explanation stays",
	"POST /admin/coverage/gaps/:id/acknowledge": "what is acknowledged stays so",
	"POST /admin/coverage/gaps/:id/resolve":     "what is resolved stays so",
	"POST /admin/coverage/explain":              "it reads",

	"PUT /backtests/tunes/:id/label": "the last one stays",
	"PUT /backtests/wfo/:id/label":   "the last one stays",
	"PUT /datasets/:id/label":        "the last one stays",

	"PATCH /schedules/:id":  "it is as the last one says",
	"DELETE /schedules/:id": "what is gone stays gone",
	"PATCH /webhooks/:id":   "the same change again changes nothing",
	"DELETE /webhooks/:id":  "what is deleted stays so",

	"DELETE /admin/tokens/:token":  "what is revoked stays so",
	"DELETE /admin/workspaces/:id": "what is deleted stays so",
	"DELETE /workspace":            "what is deleted stays so",

	"POST /admin/events/ticket": "a ticket more does no harm",
	"POST /admin/login":         "a session more does no harm",
	"POST /admin/logout":        "who is out stays out",
}

func TestEveryRouteThatCreatesTakesAnIdempotencyKey(t *testing.T) {
	left := maps.Clone(repeatable)
	for _, r := range (&Server{}).routes() {
		name := r.method + " " + r.path
		reason, listed := left[name]
		delete(left, name)
		switch {
		case r.method == http.MethodGet:
			require.Zero(t, r.traits&creates, name)
		case listed:
			require.Zero(t, r.traits&creates, "%s: %s", name, reason)
		default:
			require.NotZero(t, r.traits&creates, "%s: declare that it creates, or say here why it can be repeated", name)
		}
	}
	require.Empty(t, left, "routes that are gone")
}
