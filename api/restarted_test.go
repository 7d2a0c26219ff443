package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

func TestATuneSaysThatALaterEngineBeganItAgain(t *testing.T) {
	r := newFixture(t).withSample()
	submitted := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "one")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	require.Empty(t, into[types.Tune](t, r.do(http.MethodGet, submitted.header.Get("Location"), "")).Warnings)
	r.exec(`update tunes set restarted_from = '3', engine = '4', semantics = ''`)
	got := into[types.Tune](t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
	require.Len(t, got.Warnings, 1)
	require.Contains(t, got.Warnings[0], "A worker of engine 3 began this tune, and one of engine 4 began it again")
}
