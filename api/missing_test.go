package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// What names nothing is named in the answer, with where those that are there are listed; another workspace's is
// answered in the same words as what never was.
func TestAnAnswerNamesWhatIsMissing(t *testing.T) {
	r := newFixture(t)
	nobodys := uuid.NewString()
	for path, says := range map[string]string{
		"/backtests/tunes/" + nobodys:             "No tune %q here; GET /backtests/tunes or `millrace tunes list` lists those there are.",
		"/backtests/tunes/" + nobodys + "/trials": "No tune %q here; GET /backtests/tunes or `millrace tunes list` lists those there are.",
		"/backtests/wfo/" + nobodys:               "No walk-forward %q here; GET /backtests/wfo lists those there are.",
		"/backtests/runs/" + nobodys:              "No backtest %q here; GET /backtests/runs lists those there are.",
		"/run-plans/" + nobodys:                   "No run plan %q here; GET /run-plans or `millrace plans list` lists those there are.",
		"/strategies/" + nobodys:                  "No script %q here; GET /strategies or `millrace pine list` lists those there are.",
		"/schedules/" + nobodys:                   "No schedule %q here; GET /schedules or `millrace schedules list` lists those there are.",
		"/documents/" + nobodys:                   "No document %q here; GET /documents lists those there are.",
		"/ingest/jobs/" + nobodys:                 "No ingestion %q here; GET /ingest/jobs lists those there are.",
		"/datasets/short/versions":                "No dataset %q here; GET /datasets or `millrace data list` lists those there are.",
		"/schedules/short":                        "No schedule %q here; GET /schedules or `millrace schedules list` lists those there are.",
	} {
		named := nobodys
		if strings.Contains(path, "short") {
			named = "short"
		}
		answer := r.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusNotFound, answer.status, path)
		require.Contains(t, string(answer.body), strings.ReplaceAll(says, "%q", `\"`+named+`\"`), path)
	}
	long := r.do(http.MethodGet, "/backtests/tunes/"+url.PathEscape(strings.Repeat("x<\"", 400)), "")
	require.Equal(t, http.StatusNotFound, long.status)
	require.Less(t, len(long.body), 1000)
}
