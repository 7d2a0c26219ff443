package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/workers"
)

// fixture is a store with a workspace and a dataset, and an owner's eye on the tables.
type fixture struct {
	t       testing.TB
	store   *stores.Set
	owner   *pgxpool.Pool
	space   tenants.Workspace
	dataset market.Dataset
	bars    *backtest.Bars
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 6})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	d := &fixture{t: t, store: stores.New(pool, client), owner: db.OwnerPool(t)}
	d.space, err = d.store.Tenants.CreateWorkspace(t.Context(), "main", 2)
	require.NoError(t, err)
	d.bars, err = ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 500})
	require.NoError(t, err)
	d.dataset, err = d.store.Market.PutDataset(t.Context(), d.space.ID,
		market.Dataset{Name: "walk", Symbol: "W", Timeframe: "1d", Calendar: 252}, d.bars)
	require.NoError(t, err)
	return d
}

// tune submits a tune of four trials and returns it with its plan job.
func (d *fixture) tune(key string) (*tuning.Tune, int64) {
	d.t.Helper()
	tune, err := d.submit(key)
	require.NoError(d.t, err)
	var job int64
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `select plan_job_id from tunes where id = $1`, tune.ID).Scan(&job))
	return tune, job
}

// submit may be called from any goroutine.
func (d *fixture) submit(key string) (*tuning.Tune, error) {
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	var tune *tuning.Tune
	_, err := d.store.Tuning.Create(d.t.Context(), store.Submission{Workspace: d.space.ID, Route: "test", Key: key},
		tuning.NewTune{DatasetID: d.dataset.ID, Dataset: d.dataset.Name, Spec: spec, Trials: 4},
		func(t *tuning.Tune) (store.Response, error) {
			tune = t
			return store.Response{Status: http.StatusAccepted}, nil
		})
	return tune, err
}

// claim makes the job run as its next attempt on the named worker, as River's fetch does.
func (d *fixture) claim(job int64, worker string) store.Lease {
	d.t.Helper()
	lease := store.Lease{Workspace: d.space.ID, JobID: job, Complete: func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update river_job set state = 'completed', finalized_at = now() where id = $1`, job)
		return err
	}}
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `
		update river_job set state = 'running', attempt = attempt + 1, attempted_at = now() - interval '1 minute',
		       attempted_by = array_append(attempted_by, $2)
		 where id = $1 returning attempt`, job, worker).Scan(&lease.Attempt))
	return lease
}

func (d *fixture) state(job int64) string {
	d.t.Helper()
	var state string
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `select state from river_job where id = $1`, job).Scan(&state))
	return state
}

func (d *fixture) status(id uuid.UUID) tuning.Status {
	d.t.Helper()
	tune, err := d.store.Tuning.Get(d.t.Context(), d.space.ID, id)
	require.NoError(d.t, err)
	return tune.Status
}

var twoShards = []sweep.Shard{{Index: 0, First: 0, Trials: 2}, {Index: 1, First: 2, Trials: 2, Cursor: 2}}

// A zombie is an attempt that was given up for dead and comes back while its successor runs.
func TestAZombieWritesNothingAndCompletesNothing(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune, plan := d.tune("k")
	zombie := d.claim(plan, "first")
	successor := d.claim(plan, "second")
	require.ErrorIs(t, d.store.Tuning.Begin(ctx, zombie, tune.ID, tuning.Plan{Shards: twoShards}), store.ErrFenced)
	require.Equal(t, tuning.Queued, d.status(tune.ID))
	require.Equal(t, "running", d.state(plan))
	require.NoError(t, d.store.Tuning.Begin(ctx, successor, tune.ID, tuning.Plan{Shards: twoShards}))
	require.ErrorIs(t, d.store.Tuning.Begin(ctx, successor, tune.ID, tuning.Plan{Shards: twoShards}), store.ErrFenced)
	require.Equal(t, "completed", d.state(plan))

	var shardJobs []int64
	rows, err := d.owner.Query(ctx, `select job_id from tune_shards order by shard`)
	require.NoError(t, err)
	shardJobs, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	require.Len(t, shardJobs, 2)
	zombie = d.claim(shardJobs[0], "first")
	successor = d.claim(shardJobs[0], "second")
	done := tuning.ShardDone{Shard: 0, Completed: 2, Columns: []byte{1}}
	require.ErrorIs(t, d.store.Tuning.FinishShard(ctx, zombie, tune.ID, done), store.ErrFenced)
	require.ErrorIs(t, d.store.Tuning.ReportShard(ctx, zombie, tune.ID, 0, 1), store.ErrFenced)
	require.NoError(t, d.store.Tuning.FinishShard(ctx, successor, tune.ID, done))
	require.ErrorIs(t, d.store.Tuning.FinishShard(ctx, zombie, tune.ID, done), store.ErrFenced)
	now, err := d.store.Tuning.Get(ctx, d.space.ID, tune.ID)
	require.NoError(t, err)
	require.Equal(t, 2, now.Progress.Completed, "a trial counted twice")
}

func TestTheCapHoldsTunesBackUntilOthersEnd(t *testing.T) {
	d := newFixture(t)
	first, firstPlan := d.tune("1")
	_, secondPlan := d.tune("2")
	third, thirdPlan := d.tune("3")
	fourth, fourthPlan := d.tune("4")
	require.Equal(t, []string{"available", "available", "pending", "pending"},
		[]string{d.state(firstPlan), d.state(secondPlan), d.state(thirdPlan), d.state(fourthPlan)})
	_, err := d.store.Tuning.Cancel(t.Context(), d.space.ID, third.ID)
	require.NoError(t, err)
	require.Equal(t, "cancelled", d.state(thirdPlan))
	require.Equal(t, "pending", d.state(fourthPlan), "a tune that waited frees no slot")
	_, err = d.store.Tuning.Cancel(t.Context(), d.space.ID, first.ID)
	require.NoError(t, err)
	require.Equal(t, "available", d.state(fourthPlan))
	_, err = d.store.Tuning.Cancel(t.Context(), d.space.ID, first.ID)
	require.ErrorIs(t, err, store.ErrEnded)
	require.Equal(t, tuning.Queued, d.status(fourth.ID))
}

func TestConcurrentSubmissionsDoNotPassTheCap(t *testing.T) {
	d := newFixture(t)
	const clients = 12
	errs := make(chan error, clients)
	for i := range clients {
		go func() {
			_, err := d.submit(fmt.Sprint(i))
			errs <- err
		}()
	}
	for range clients {
		require.NoError(t, <-errs)
	}
	var admitted int
	require.NoError(t, d.owner.QueryRow(t.Context(), `select count(*) from tunes where admitted`).Scan(&admitted))
	require.Equal(t, 2, admitted)
}

func TestJobsOfALostWorkerRunAgain(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	_, plan := d.tune("k")
	d.claim(plan, "lost")
	beat := func(held ...workers.Held) {
		recalls, err := d.store.Workers.Beat(ctx, workers.Worker{ID: "lost", Queues: map[string]int{"tunes": 1}}, held, nil)
		require.NoError(t, err)
		require.Empty(t, recalls)
	}
	rescue := func() []workers.Rescued {
		rescued, err := d.store.Workers.Rescue(ctx)
		require.NoError(t, err)
		return rescued
	}
	beat(workers.Held{JobID: plan, Attempt: 1})
	require.Empty(t, rescue(), "a job that is merely long is held")
	d.exec(`update workers set beat_at = now() - interval '1 minute'`)
	require.Len(t, rescue(), 1)
	require.Equal(t, "available", d.state(plan))

	// A live worker that does not know of the job has lost it all the same.
	d.claim(plan, "lost")
	beat()
	require.Len(t, rescue(), 1)

	// After the last attempt comes one to fail it in, and none after that.
	d.exec(`delete from workers`)
	d.exec(`update river_job set max_attempts = attempt + 1`)
	d.claim(plan, "lost")
	require.Equal(t, "available", rescue()[0].State)
	d.claim(plan, "lost")
	require.Equal(t, "discarded", rescue()[0].State)
}

func TestAHeartbeatRecallsWhatIsCancelledOrLost(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune, cancelled := d.tune("1")
	_, kept := d.tune("2")
	d.claim(cancelled, "w")
	d.claim(kept, "w")
	lost := workers.Held{JobID: kept, Attempt: 0}
	gone := workers.Held{JobID: 1 << 40, Attempt: 1}
	beat := func() []workers.Recall {
		recalls, err := d.store.Workers.Beat(ctx, workers.Worker{ID: "w"},
			[]workers.Held{{JobID: cancelled, Attempt: 1}, {JobID: kept, Attempt: 1}, lost, gone}, nil)
		require.NoError(t, err)
		return recalls
	}
	require.ElementsMatch(t, []workers.Recall{{Held: lost}, {Held: gone}}, beat())
	_, err := d.store.Tuning.Cancel(ctx, d.space.ID, tune.ID)
	require.NoError(t, err)
	require.ElementsMatch(t, []workers.Recall{{Held: lost}, {Held: gone}, {Held: workers.Held{JobID: cancelled, Attempt: 1}, Cancelled: true}}, beat())
	d.exec(`update river_job set state = 'completed', finalized_at = now() where id = $1`, kept)
	require.Len(t, beat(), 3, "a completed job is about to return")
	d.exec(`update river_job set state = 'running', finalized_at = null, attempted_by = '{w,other}' where id = $1`, kept)
	require.Contains(t, beat(), workers.Recall{Held: workers.Held{JobID: kept, Attempt: 1}}, "handed back and taken by another under the same number")
}

func TestASubmissionIsAllOrNothing(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	sub := store.Submission{Workspace: d.space.ID, Route: "test", Key: "k", Fingerprint: [32]byte{1}}
	boom := errors.New("boom")
	_, err := d.store.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		return store.Response{}, boom
	})
	require.ErrorIs(t, err, boom)
	effects := 0
	submit := func(sub store.Submission) (store.Response, error) {
		return d.store.Submit(ctx, sub, func(context.Context, *store.Tx) (store.Response, error) {
			effects++
			return store.Response{Status: 202, Location: "/there", Body: []byte("body")}, nil
		})
	}
	resp, err := submit(sub)
	require.NoError(t, err)
	require.False(t, resp.Replayed)
	resp, err = submit(sub)
	require.NoError(t, err)
	require.Equal(t, store.Response{Status: 202, Location: "/there", Body: []byte("body"), Replayed: true}, resp)
	other := sub
	other.Fingerprint = [32]byte{2}
	_, err = submit(other)
	require.ErrorIs(t, err, store.ErrKeyReused)
	require.Equal(t, 1, effects)
	_, err = d.owner.Exec(ctx, `update idempotency_keys set expires_at = now() - interval '1 second'`)
	require.NoError(t, err)
	resp, err = submit(other)
	require.NoError(t, err)
	require.False(t, resp.Replayed, "an expired key is claimed again")
	require.Equal(t, 2, effects)
}

// Work of the fleet belongs to no workspace, and no workspace sees its keys.
func TestTheFleetSubmitsUnderKeysOfItsOwn(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	submit := func(workspace uuid.UUID) (resp store.Response, role string) {
		resp, err := d.store.Submit(ctx, store.Submission{Workspace: workspace, Route: "prune", Key: "k"},
			func(ctx context.Context, tx *store.Tx) (store.Response, error) {
				return store.Response{Status: 202}, tx.QueryRow(ctx, `select current_user`).Scan(&role)
			})
		require.NoError(t, err)
		return resp, role
	}
	resp, role := submit(uuid.Nil)
	require.False(t, resp.Replayed)
	require.Equal(t, "millrace_fleet", role)
	resp, _ = submit(uuid.Nil)
	require.True(t, resp.Replayed)
	resp, role = submit(d.space.ID)
	require.False(t, resp.Replayed, "a workspace got the fleet's response")
	require.Equal(t, store.TenantRole, role)
	_, err := d.store.Replay(ctx, store.Submission{Workspace: uuid.Nil, Route: "prune", Key: "other"})
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = d.store.Replay(ctx, store.Submission{Workspace: uuid.Nil, Route: "prune", Key: "k", Fingerprint: [32]byte{1}})
	require.ErrorIs(t, err, store.ErrKeyReused)
	_, err = d.owner.Exec(ctx, `update idempotency_keys set expires_at = now() - interval '1 second'`)
	require.NoError(t, err)
	_, err = d.store.Replay(ctx, store.Submission{Workspace: uuid.Nil, Route: "prune", Key: "k"})
	require.ErrorIs(t, err, store.ErrNotFound, "an expired key is replayed")
}

func TestAKeyOfARunningRequestIsBusy(t *testing.T) {
	d := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sub := store.Submission{Workspace: d.space.ID, Route: "test", Key: "k"}
	// By the owner, whose session may stay in its transaction for longer than those of ours may.
	other, err := d.owner.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = other.Rollback(context.Background()) }()
	_, err = other.Exec(ctx, `insert into idempotency_keys (workspace_id, route, key, fingerprint) values ($1, 'test', 'k', sha256(''))`, d.space.ID)
	require.NoError(t, err)
	_, err = d.store.Submit(ctx, sub, func(context.Context, *store.Tx) (store.Response, error) {
		return store.Response{}, errors.New("the effect ran twice")
	})
	require.ErrorIs(t, err, store.ErrKeyBusy)
}
