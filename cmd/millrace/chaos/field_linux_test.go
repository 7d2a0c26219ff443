package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// field is a fleet of three machines that works for several workspaces at once.
type field struct {
	*deployment
	front *server
	hosts []*host
	large []*submitter // each has one large tune running throughout
	small *submitter   // submits small tunes and walk-forwards
}

func newField(t *testing.T) *field {
	t.Helper()
	var machines []*machine
	for i := range 3 {
		machines = append(machines, newMachine(t, i))
	}
	s := newDeployment(t, withListeners(machines))
	s.admit()
	f := &field{deployment: s, front: s.serve(0)}
	for _, m := range machines {
		u, err := url.Parse(s.direct)
		require.NoError(t, err)
		u.Host = m.ours + ":" + u.Port()
		env := []string{"DATABASE_URL=" + u.String(), "MILLRACE_SHARD_TIME=100ms", "MILLRACE_LOG=warn"}
		f.hosts = append(f.hosts, &host{machine: m, process: s.run(env, "ip",
			m.command(s.binary, "worker", "--queues", "trials:1,tunes:1,wfo:1,maintenance:1")...)})
	}
	for i := range 2 {
		d := f.newSubmitter(fmt.Sprint("large", i))
		d.large(strategies[i], "large")
		f.large = append(f.large, d)
	}
	f.small = f.newSubmitter("small")
	require.Eventually(t, func() bool {
		return s.count(`select count(*) from workers`) == 3 && s.count(`select count(*) from tune_progress where shards_done > 3`) == 2
	}, time.Minute, 100*time.Millisecond, "the fleet does not work")
	return f
}

func (f *field) newSubmitter(name string) *submitter {
	f.t.Helper()
	space, key := f.tenant(name)
	d := &submitter{deployment: f.deployment, server: f.front, space: space.ID, key: key}
	d.upload()
	return d
}

// largeTrials is how many trials a large tune has, and reserve how many of them are left at least when
// a drill begins: a tune that ends during a drill would look like one without progress.
const (
	largeTrials = 899 * 1000
	reserve     = 200 * 1000
)

// large starts a tune of largeTrials.
func (d *submitter) large(strategy, key string) {
	d.t.Helper()
	status, answer := d.call(http.MethodPost, "/backtests/tune", "application/json", fmt.Appendf(nil, `{"dataset":"walk","strategy_name":%q,
		"param_space":{"fast":{"low":2,"high":900},"slow":{"low":901,"high":1900}}}`, strategy), "X-Idempotency-Key", key)
	require.Equal(d.t, http.StatusAccepted, status, string(answer))
}

// replenish starts another large tune in each workspace whose last one has too few trials left for a drill,
// and waits until it makes progress.
func (f *field) replenish(drill int) {
	f.t.Helper()
	for i, done := range f.progress() {
		if done > largeTrials-reserve {
			f.large[i].cancelAll()
			f.large[i].large(strategies[i], fmt.Sprint("large", drill))
			require.Eventually(f.t, func() bool { return f.progress()[i] < done && f.progress()[i] > 0 },
				time.Minute, 100*time.Millisecond, "the next large tune makes no progress")
		}
	}
}

// progress is how many trials the last large tune of each workspace has done, in the order of f.large.
func (f *field) progress() []int {
	f.t.Helper()
	rows, err := f.owner.Query(f.t.Context(), `
		select (coalesce(p.trials_completed + p.trials_failed + p.trials_skipped, 0)
		        + (select coalesce(sum(s.trials_done), 0) from tune_shards s where s.tune_id = t.id and s.job_id is not null and not s.done))::int
		  from unnest($1::uuid[]) with ordinality w (id, n)
		  cross join lateral (select id from tunes where workspace_id = w.id and wfo_id is null order by created_at desc limit 1) t
		  left join tune_progress p on p.tune_id = t.id
		 order by w.n`, []uuid.UUID{f.large[0].space, f.large[1].space})
	require.NoError(f.t, err)
	done, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(f.t, err)
	require.Len(f.t, done, 2, "each workspace has a large tune")
	return done
}

// walkForward submits one and returns its id.
func (d *submitter) walkForward(key string) string {
	d.t.Helper()
	var answered types.WFO
	require.Eventually(d.t, func() bool {
		status, answer := d.call(http.MethodPost, "/backtests/wfo", "application/json", []byte(`{"dataset":"walk","strategy_name":"sma_cross",
			"param_space":{"fast":{"low":2,"high":11},"slow":[20,40,60]},"gates":{"max_drawdown_pct":95,"min_trades":1},
			"wfo_config":{"train_days":400,"test_days":200,"min_folds":2}}`), "X-Idempotency-Key", key)
		require.True(d.t, status == 0 || status >= 500 || status == http.StatusAccepted, "%d %s", status, answer)
		return status == http.StatusAccepted && json.Unmarshal(answer, &answered) == nil
	}, time.Minute, 200*time.Millisecond)
	return answered.WFOID
}

func (d *submitter) awaitWalk(id string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		return strings.HasPrefix(d.found(id), "completed") || strings.HasPrefix(d.found(id), "failed")
	},
		3*time.Minute, 200*time.Millisecond, "walk-forward %s does not end", id)
	require.True(d.t, strings.HasPrefix(d.found(id), "completed"), d.found(id))
}

// cancelAll cancels the workspace's tunes.
func (d *submitter) cancelAll() {
	d.t.Helper()
	rows, err := d.owner.Query(d.t.Context(), `select id::text from tunes where workspace_id = $1 and status in ('queued', 'running')`, d.space)
	require.NoError(d.t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.t, err)
	for _, id := range ids {
		require.Eventually(d.t, func() bool {
			status, _ := d.call(http.MethodPost, "/backtests/tunes/"+id+"/cancel", "application/json", nil)
			return status == http.StatusOK || status == http.StatusAccepted || status == http.StatusConflict
		}, 30*time.Second, 200*time.Millisecond)
	}
}
