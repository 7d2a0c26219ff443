package api_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/jobs"
	"millrace/store/stores"
	"millrace/store/storetest"
)

// counted has a server's store note its round trips.
func counted(t *testing.T, trips *storetest.RoundTrips) func(*api.Options) {
	return func(o *api.Options) {
		traced := func(config *pgxpool.Config) *pgxpool.Pool {
			config.ConnConfig.Tracer = trips
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			return pool
		}
		pool := traced(o.Store.Pool().Config())
		client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		spaces := traced(o.Store.Workspaces().Config())
		o.Store = stores.New(pool, client)
		o.Store.SetWorkspaces(spaces)
	}
}

// A submission that is new takes few round trips: the beginning with the claim of the key and the admission, and all rows with the
// commit; where it only joins the queue, as the one before it, these two are one. Its caller's key is looked up within the first,
// where it was looked up within the minute. One of its transactions writes. A limit on submissions, which is off here,
// is one more. Nor may the statements grow in number.
func TestASubmissionTakesFewRoundTripsAndOneTransaction(t *testing.T) {
	trips := &storetest.RoundTrips{}
	r := newFixture(t, counted(t, trips)).withSample()
	submit := func(n int) []string {
		trips.Take()
		a := r.do(http.MethodPost, "/backtests/tune", fmt.Sprintf(
			`{"dataset":"sp500","strategy_name":"sma_cross","seed":%d,"param_space":{"fast":[5,10],"slow":[50,100]}}`, n), "X-Idempotency-Key", fmt.Sprint("k", n))
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		require.Equal(t, n <= 2, strings.Contains(string(a.body), `"admitted":true`))
		return trips.Take()
	}
	// The first looks up the dataset, reads its bars, which are kept, and notes that the key was used.
	require.LessOrEqual(t, len(submit(0)), 6)
	for n := 2; n < 5; n++ {
		trips, statements := 1, 6
		switch n {
		case 2:
			trips, statements = 2, 10 // it is admitted, and wakes a worker
		case 3:
			trips, statements = 2, 9
		}
		requireFewTrips(t, submit(n), trips, statements)
	}
}

// The same of a walk-forward, however many folds it has.
func TestAWalkForwardTakesFewRoundTripsAndOneTransaction(t *testing.T) {
	trips := &storetest.RoundTrips{}
	r := newFixture(t, counted(t, trips)).withSample()
	for n, days := range []int{400, 400, 400, 40} {
		trips.Take()
		a := r.do(http.MethodPost, "/backtests/wfo", fmt.Sprintf(
			`{"dataset":"sp500","strategy_name":"sma_cross","seed":%d,"param_space":{"fast":[5,10],"slow":[50,100]},"wfo_config":{"train_days":800,"test_days":%d}}`, n, days),
			"X-Idempotency-Key", fmt.Sprint("k", n))
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		require.Equal(t, n < 2, strings.Contains(string(a.body), `"admitted":true`))
		if n > 1 { // the first reads the bars, and the second is admitted and wakes a worker
			requireFewTrips(t, trips.Take(), 4-n, 12)
		}
	}
}

// The same of an ingestion of an address: in one where its document is not there, and the process does not take it to be, as after one that was.
func TestAnIngestionTakesFewRoundTripsAndOneTransaction(t *testing.T) {
	trips := &storetest.RoundTrips{}
	r := newFixture(t, counted(t, trips))
	for n, c := range []struct {
		address           string
		trips, statements int // 0: not held to so many
	}{
		{"noted", 0, 0}, // that its key was used
		{"first", 1, 9}, {"second", 1, 9},
		{"second", 0, 0}, // which only one round trip in vain has found
		{"second", 2, 11}, {"third", 2, 12}, {"fourth", 1, 9},
	} {
		trips.Take()
		a := r.do(http.MethodPost, "/ingest", fmt.Sprintf(`{"url":"https://example.com/%s"}`, c.address), "X-Idempotency-Key", fmt.Sprint("k", n))
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		if took := trips.Take(); c.trips > 0 {
			requireFewTrips(t, took, c.trips, c.statements)
		}
	}
}

// requireFewTrips holds a submission to so many round trips and statements, and one transaction that writes.
func requireFewTrips(t *testing.T, sent []string, trips, statements int) {
	t.Helper()
	sent = slices.DeleteFunc(sent, func(sql string) bool { return strings.HasPrefix(sql, "select pg_notify(") }) // the late hint of the one before
	require.LessOrEqual(t, len(sent), trips, strings.Join(sent, "\n"))
	require.LessOrEqual(t, strings.Count(strings.Join(sent, "; "), "; ")+1, statements, strings.Join(sent, "\n"))
	writes := 0
	for _, sql := range sent {
		if strings.Contains(sql, "_submission(") || strings.Contains(sql, "queue_ingestion(") {
			writes++
		}
		require.False(t, sql == "begin" || sql == "commit", "a round trip for %q alone", sql)
	}
	require.Equal(t, 1, writes)
}
