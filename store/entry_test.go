package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

// servers are stores of several processes on the fixture's database, each with its own pools.
// What they send is noted by tracers, if there are any.
func servers(d *storetest.Fixture, n int, conns int32, tracers ...pgx.QueryTracer) []*stores.Set {
	d.T.Helper()
	var sets []*stores.Set
	for range n {
		config := d.Store.Pool().Config()
		config.MaxConns = conns
		if len(tracers) > 0 {
			config.ConnConfig.Tracer = tracers[0]
		}
		pool, err := pgxpool.NewWithConfig(d.T.Context(), config)
		require.NoError(d.T, err)
		d.T.Cleanup(pool.Close)
		client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
		require.NoError(d.T, err)
		sets = append(sets, stores.New(pool, client))
	}
	return sets
}

// newTune names the fixture's dataset, so that it can join a queue.
func newTune(d *storetest.Fixture) tuning.NewTune {
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	return tuning.NewTune{
		DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Trials: 4,
		Names: []store.DatasetName{{Text: d.Dataset.Name}},
	}
}

// submitTune returns the nil id where the submission was made before.
func submitTune(ctx context.Context, d *storetest.Fixture, at *stores.Set, key string, depth int) (uuid.UUID, error) {
	var id uuid.UUID
	resp, err := at.Tuning.Create(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: key, QueueDepth: depth}, newTune(d),
		func(t *tuning.Tune) (store.Response, error) {
			id = t.ID
			return store.Response{Status: http.StatusAccepted, Body: []byte("{}")}, nil
		})
	if err != nil || resp.Replayed {
		return uuid.Nil, err
	}
	return id, nil
}

// The depth of a queue is neither exceeded nor left unused, and no more is admitted than the cap allows, when several
// processes submit at once.
func TestDepthAndCapHoldWhenSeveralProcessesSubmitAtOnce(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	var slack int
	require.NoError(t, d.Owner.QueryRow(ctx, `select current_setting('max_connections')::int`).Scan(&slack))
	depth := slack + 40 // the first 40 enter together, the others one by one
	const open = `select count(*) from tunes where status in ('queued', 'running')`
	var mu sync.Mutex
	var ids []uuid.UUID
	var refused int
	var clients sync.WaitGroup
	for s, at := range servers(d, 3, 4) {
		for c := range 4 {
			clients.Go(func() {
				for i := range (depth + 60) / 12 {
					id, err := submitTune(ctx, d, at, fmt.Sprint(s, "-", c, "-", i), depth)
					mu.Lock()
					switch {
					case errors.Is(err, store.ErrQueueFull):
						refused++
					case err != nil:
						t.Error(err)
					default:
						ids = append(ids, id)
					}
					mu.Unlock()
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		requireWithin(t, d.Owner, depth)
	}
	var count int
	require.NoError(t, d.Owner.QueryRow(ctx, open).Scan(&count))
	require.Equal(t, depth, count, "the queue is filled to its depth")
	require.Equal(t, depth, len(ids))
	require.NotZero(t, refused)
}

func requireWithin(t *testing.T, owner *pgxpool.Pool, depth int) {
	t.Helper()
	var open, admitted, limit int
	require.NoError(t, owner.QueryRow(t.Context(), `
		select count(*), count(*) filter (where admitted), (select max(tune_cap) from workspaces) from tunes where status in ('queued', 'running')`).
		Scan(&open, &admitted, &limit))
	require.LessOrEqual(t, open, depth, "open work beyond the depth")
	require.LessOrEqual(t, admitted, limit, "tunes admitted beyond the cap")
}

// awaitEntering waits until so many transactions wait to enter a workspace, or done is closed.
func awaitEntering(d *storetest.Fixture, n int, done <-chan struct{}) {
	d.T.Helper()
	require.Eventually(d.T, func() bool {
		select {
		case <-done:
			return true
		default:
		}
		var waiting int
		require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `
			select count(*) from pg_locks where locktype = 'advisory' and not granted
			   and database = (select oid from pg_database where datname = current_database())`).Scan(&waiting))
		return waiting >= n
	}, 30*time.Second, time.Millisecond)
}

func admitted(d *storetest.Fixture, id uuid.UUID) bool {
	d.T.Helper()
	tune, err := d.Store.Tuning.Get(d.T.Context(), d.Space.ID, id)
	require.NoError(d.T, err)
	return tune.Admitted
}

// What ends while a tune is submitted that has to wait for it admits that tune.
func TestAnEndSeesTheTuneThatIsBeingSubmitted(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	_, err := d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{TuneCap: new(1)})
	require.NoError(t, err)
	first, _ := d.Tune("first")
	ended := make(chan struct{})
	var second uuid.UUID
	_, err = d.Store.Tuning.Create(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: "second"},
		tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: first.Spec, Trials: 4},
		func(tune *tuning.Tune) (store.Response, error) {
			require.False(t, tune.Admitted)
			second = tune.ID
			go func() {
				defer close(ended)
				_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, first.ID)
				assert.NoError(t, err)
			}()
			awaitEntering(d, 1, ended)
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(t, err)
	<-ended
	require.True(t, admitted(d, second), "a tune waits although there is room")
}

// Of the tunes that are submitted while one ends, as many are admitted as there is room for.
func TestTunesThatEnterAfterAnEndShareItsPlace(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	_, err := d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{TuneCap: new(1)})
	require.NoError(t, err)
	first, _ := d.Tune("first")
	submitted := make(chan struct{})
	err = d.Store.InWorkspace(ctx, d.Space.ID, func(tx *store.Tx) error {
		if _, err := store.Room(ctx, tx, d.Space.ID); err != nil {
			return err
		}
		go func() {
			defer close(submitted)
			var both sync.WaitGroup
			for _, key := range []string{"second", "third"} {
				both.Go(func() {
					_, err := submitTune(ctx, d, d.Store, key, 0)
					assert.NoError(t, err)
				})
			}
			both.Wait()
		}()
		awaitEntering(d, 2, submitted)
		_, err := tx.Exec(ctx, `update tunes set status = 'canceled', completed_at = now() where id = $1`, first.ID)
		return err
	})
	require.NoError(t, err)
	<-submitted
	var in int
	require.NoError(t, d.Owner.QueryRow(ctx, `select count(*) from tunes where admitted and status = 'queued'`).Scan(&in))
	require.Equal(t, 1, in, "tunes admitted to one place")
}
