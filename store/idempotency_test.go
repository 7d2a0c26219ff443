package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
)

// A process that is killed between its claim and its answer leaves neither the key nor the work.
func TestAKilledSubmissionLeavesNoKey(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	sub := store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k"}
	effect := func(kill bool) func(context.Context, *store.Tx) (store.Response, error) {
		return func(ctx context.Context, tx *store.Tx) (store.Response, error) {
			_, err := tx.Exec(ctx, `insert into trade_events (id, workspace_id, event_type) select gen_random_uuid(), id, 'RUN_STARTED' from workspaces`)
			if err != nil {
				return store.Response{}, err
			}
			if kill {
				var pid int
				if err := tx.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
					return store.Response{}, err
				}
				if _, err := d.Owner.Exec(ctx, `select pg_terminate_backend($1, 5000)`, pid); err != nil {
					return store.Response{}, err
				}
			}
			return store.Response{Status: 202, Body: []byte("{}")}, nil
		}
	}
	count := func(of string) (n int) {
		require.NoError(t, d.Owner.QueryRow(ctx, `select count(*) from `+of).Scan(&n))
		return n
	}
	_, err := d.Store.Submit(ctx, sub, effect(true))
	require.Error(t, err)
	require.Zero(t, count("idempotency_keys"))
	require.Zero(t, count("trade_events"))
	resp, err := d.Store.Submit(ctx, sub, effect(false))
	require.NoError(t, err)
	require.False(t, resp.Replayed, "the key is free")
	require.Equal(t, 1, count("idempotency_keys where status is not null"))
	require.Equal(t, 1, count("trade_events"))
}

func TestASubmissionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	sub := store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k", Fingerprint: [32]byte{1}}
	boom := errors.New("boom")
	_, err := d.Store.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		return store.Response{}, boom
	})
	require.ErrorIs(t, err, boom)
	effects := 0
	submit := func(sub store.Submission) (store.Response, error) {
		return d.Store.Submit(ctx, sub, func(context.Context, *store.Tx) (store.Response, error) {
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
	_, err = d.Owner.Exec(ctx, `update idempotency_keys set expires_at = now() - interval '1 second'`)
	require.NoError(t, err)
	resp, err = submit(other)
	require.NoError(t, err)
	require.False(t, resp.Replayed, "an expired key is claimed again")
	require.Equal(t, 2, effects)
}

// Work of the fleet belongs to no workspace, and no workspace sees its keys.
func TestTheFleetSubmitsUnderKeysOfItsOwn(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	submit := func(workspace uuid.UUID) (resp store.Response, role string) {
		resp, err := d.Store.Submit(ctx, store.Submission{Workspace: workspace, Route: "prune", Key: "k"},
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
	resp, role = submit(d.Space.ID)
	require.False(t, resp.Replayed, "a workspace got the fleet's response")
	require.Equal(t, store.WorkspaceRole, role)
	_, err := d.Store.Replay(ctx, store.Submission{Workspace: uuid.Nil, Route: "prune", Key: "other"})
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = d.Store.Replay(ctx, store.Submission{Workspace: uuid.Nil, Route: "prune", Key: "k", Fingerprint: [32]byte{1}})
	require.ErrorIs(t, err, store.ErrKeyReused)
	_, err = d.Owner.Exec(ctx, `update idempotency_keys set expires_at = now() - interval '1 second'`)
	require.NoError(t, err)
	_, err = d.Store.Replay(ctx, store.Submission{Workspace: uuid.Nil, Route: "prune", Key: "k"})
	require.ErrorIs(t, err, store.ErrNotFound, "an expired key is replayed")
}

func TestAKeyOfARunningRequestIsBusy(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sub := store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k", Wait: 50 * time.Millisecond}
	began, end := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		_, err := d.Store.Submit(ctx, sub, func(context.Context, *store.Tx) (store.Response, error) {
			close(began)
			<-end
			return store.Response{Status: 202}, nil
		})
		assert.NoError(t, err)
	})
	<-began
	_, err := d.Store.Submit(ctx, sub, func(context.Context, *store.Tx) (store.Response, error) {
		return store.Response{}, errors.New("the effect ran twice")
	})
	close(end)
	first.Wait()
	require.ErrorIs(t, err, store.ErrKeyBusy)
	resp, err := d.Store.Submit(ctx, sub, nil)
	require.NoError(t, err)
	require.True(t, resp.Replayed)
}

// olderBegins begins a submission as a server of before keys were claimed by a lock does.
func olderBegins(ctx context.Context, tx pgx.Tx, sub store.Submission) (claimed bool, body []byte, err error) {
	if _, err = tx.Exec(ctx, `set local role `+store.WorkspaceRole); err != nil {
		return false, nil, err
	}
	err = tx.QueryRow(ctx, `
		select claimed, body from begin_submission($1, false, $2, $3, $4, 60000, true, true, true, 0, null, null, null, null, null)`,
		sub.Workspace, sub.Route, sub.Key, sub.Fingerprint[:]).Scan(&claimed, &body)
	return claimed, body, err
}

// While two revisions serve side by side, the same submission to both is made by the first and answered by either.
func TestAnOlderServerAnswersWhatANewerMakes(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sub := store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k", Adds: store.AddsTune}
	var older sync.WaitGroup
	_, err := d.Store.Submit(ctx, sub, func(context.Context, *store.Tx) (store.Response, error) {
		older.Go(func() {
			assert.NoError(t, pgx.BeginFunc(ctx, d.Owner, func(tx pgx.Tx) error {
				claimed, body, err := olderBegins(ctx, tx, sub)
				assert.False(t, claimed)
				assert.Equal(t, "newer", string(body))
				return err
			}))
		})
		d.AwaitBlocked()
		return store.Response{Status: 202, Body: []byte("newer")}, nil
	})
	older.Wait()
	require.NoError(t, err)
}

func TestANewerServerAnswersWhatAnOlderMakes(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sub := store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k", Adds: store.AddsTune, Wait: time.Minute}
	tx, err := d.Owner.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(ctx) }()
	claimed, _, err := olderBegins(ctx, tx, sub)
	require.NoError(t, err)
	require.True(t, claimed)
	var newer sync.WaitGroup
	newer.Go(func() {
		resp, err := d.Store.Submit(ctx, sub, func(context.Context, *store.Tx) (store.Response, error) {
			return store.Response{}, errors.New("the effect ran twice")
		})
		assert.NoError(t, err)
		assert.Equal(t, store.Response{Status: 202, Body: []byte("older"), Replayed: true}, resp)
	})
	d.AwaitBlocked()
	_, err = tx.Exec(ctx, `update idempotency_keys set status = 202, location = '', body = 'older' where route = $1 and key = $2`, sub.Route, sub.Key)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	newer.Wait()
}

// A server of before submissions began by a function claims its keys by rows, not by locks.
func TestAKeyThatIsClaimedByARowHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	claim := func(key string, commit bool) func(context.Context, *store.Tx) (store.Response, error) {
		return func(ctx context.Context, tx *store.Tx) (store.Response, error) {
			other, err := d.Owner.Begin(ctx)
			require.NoError(t, err)
			t.Cleanup(func() { _ = other.Rollback(context.Background()) })
			_, err = other.Exec(ctx, `insert into idempotency_keys (workspace_id, route, key, fingerprint) values ($1, 'test', $2, sha256(''))`, d.Space.ID, key)
			require.NoError(t, err)
			if commit {
				require.NoError(t, other.Commit(ctx))
			}
			_, err = tx.Exec(ctx, `set local lock_timeout = '50ms'`)
			require.NoError(t, err)
			_, err = tx.Exec(ctx, `insert into trade_events (id, workspace_id, event_type) select gen_random_uuid(), id, 'RUN_STARTED' from workspaces`)
			return store.Response{Status: 202}, err
		}
	}
	for key, commit := range map[string]bool{"done": true, "open": false} {
		_, err := d.Store.Submit(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: key}, claim(key, commit))
		require.ErrorIs(t, err, store.ErrKeyBusy, key)
	}
	require.Zero(t, d.Count(`select count(*) from trade_events`))
}
