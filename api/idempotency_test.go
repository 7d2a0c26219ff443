package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/store/tenants"
)

// What was answered once is answered again, whatever has become of it since.
func TestAReplayNeedsNothingOfTheFirst(t *testing.T) {
	r := newFixture(t).withSample()
	run := `{"dataset":"sp500","strategy_name":"sma_cross"}`
	for path, body := range map[string]string{"/backtests/tune": smallTune, "/backtests/run": run} {
		_, err := r.db.OwnerPool(t).Exec(t.Context(), `update datasets set name = 'sp500'`)
		require.NoError(t, err)
		first := r.do(http.MethodPost, path, body, "X-Idempotency-Key", "k")
		require.Less(t, first.status, 300, string(first.body))
		require.Empty(t, first.header.Get("Idempotency-Replayed"))
		_, err = r.db.OwnerPool(t).Exec(t.Context(), `update datasets set name = 'gone'`)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, path, body, "X-Idempotency-Key", "new").status)
		again := r.do(http.MethodPost, path, body, "X-Idempotency-Key", "k")
		require.Equal(t, first.status, again.status, string(again.body))
		require.Equal(t, string(first.body), string(again.body))
		require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		other := r.do(http.MethodPost, path, `{"anything":1}`, "X-Idempotency-Key", "k")
		require.Equal(t, http.StatusUnprocessableEntity, other.status, "another body is distinguished before it is checked")
	}
	require.Equal(t, 2, r.count(`select count(*) from idempotency_keys`), "one key on two routes is two keys, and a refused one is none")
}

// A backtest is over by the time of its answer: without a key it is run again, with one it is replayed.
func TestARunNeedsNoKey(t *testing.T) {
	r := newFixture(t).withSample()
	run := `{"dataset":"sp500","strategy_name":"sma_cross"}`
	first, second := r.do(http.MethodPost, "/backtests/run", run), r.do(http.MethodPost, "/backtests/run", run)
	require.Equal(t, http.StatusCreated, first.status, string(first.body))
	require.NotEqual(t, first.header.Get("Location"), second.header.Get("Location"))
	require.Equal(t, 2, r.count(`select count(*) from backtest_runs`))
	require.Zero(t, r.count(`select count(*) from idempotency_keys`))
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodPost, "/backtests/run", run, "X-Idempotency-Key", strings.Repeat("k", 256)).status)
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodPost, "/backtests/tune", smallTune).status, "a tune needs one")
}

// Two at once: the second has looked for a stored response, found none, and is refused for what the
// first did find. It gets the first's response all the same.
func TestASecondAtOnceGetsTheFirstsResponse(t *testing.T) {
	r := newFixture(t).withSample()
	second := r.processes()[1] // it remembers no dataset, and looks for that of the request first
	first := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "first")
	owner := r.db.OwnerPool(t)
	tx, err := owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `lock table datasets in access exclusive mode`)
	require.NoError(t, err)
	done := make(chan answer, 1)
	go func() {
		a, _ := second.try(http.MethodPost, "/backtests/tune", strings.NewReader(smallTune), "Authorization", "Bearer "+r.key, "X-Idempotency-Key", "second")
		done <- a
	}()
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0
	}, 10*time.Second, 5*time.Millisecond)
	_, err = tx.Exec(t.Context(), `
		insert into idempotency_keys (workspace_id, route, key, fingerprint, status, location, body)
		select workspace_id, route, 'second', fingerprint, status, location, body from idempotency_keys where key = 'first'`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update datasets set name = 'gone'`)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	got := <-done
	require.Equal(t, http.StatusAccepted, got.status, string(got.body))
	require.Equal(t, string(first.body), string(got.body))
}

func TestAKeyIsOneLineOfPrintableASCII(t *testing.T) {
	r := newFixture(t).withSample()
	for _, key := range []string{"", strings.Repeat("k", 256), "a\tb", "caf\u00e9"} {
		a := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", key)
		require.Equal(t, http.StatusBadRequest, a.status, "%q", key)
		require.Contains(t, string(a.body), "X-Idempotency-Key")
	}
	req, err := http.NewRequest(http.MethodPost, r.url+"/backtests/tune", strings.NewReader(smallTune))
	require.NoError(t, err)
	req.Header = http.Header{"Authorization": {"Bearer " + r.key}, "X-Idempotency-Key": {"a", "b"}}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	for _, body := range []string{`{"a":1,"a":1}`, `{"n_trials":` + strings.Repeat("9", 300) + `}`, strings.Repeat("[", 100), "{\"a\":\"\xff\"}", smallTune + smallTune} {
		a := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "k")
		require.Equal(t, http.StatusBadRequest, a.status, body)
	}
	require.Zero(t, r.count(`select count(*) from idempotency_keys`))
	longest := strings.Repeat("~ ", 127) + "~"
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", longest).status)

	// Two seeds that are one as doubles are two requests.
	seeded := func(seed string) answer {
		return r.do(http.MethodPost, "/backtests/tune", strings.Replace(smallTune, `"oos_ratio"`, `"seed":`+seed+`,"oos_ratio"`, 1), "X-Idempotency-Key", "seed")
	}
	require.Equal(t, http.StatusAccepted, seeded("9007199254740992").status)
	require.Equal(t, http.StatusUnprocessableEntity, seeded("9007199254740993").status)
}

func TestAKeyBelongsToItsWorkspace(t *testing.T) {
	r := newFixture(t)
	for _, key := range []string{r.key, r.other} {
		require.Equal(t, http.StatusCreated, r.upload(key, "sp500", []byte(manyBars())).status)
	}
	mine := r.do(http.MethodPost, "/backtests/tune", plainTune, "X-Idempotency-Key", "k")
	theirs := r.do(http.MethodPost, "/backtests/tune", plainTune, "X-Idempotency-Key", "k", "Authorization", "Bearer "+r.other)
	require.Equal(t, http.StatusAccepted, theirs.status)
	require.NotEqual(t, mine.header.Get("Location"), theirs.header.Get("Location"))
	member := r.do(http.MethodPost, "/backtests/tune", plainTune, "X-Idempotency-Key", "k", "Authorization", "Bearer "+r.newKey(r.alpha, tenants.RoleMember))
	require.Equal(t, string(mine.body), string(member.body), "another key of the same workspace")
}
