package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/tenants"
)

// Submissions that follow one another without a pause do not keep a workspace from being limited or deleted: what is
// submitted after the change began waits for it.
func TestSubmissionsThatOverlapDoNotHoldUpAChangeOfTheirWorkspace(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*storetest.Fixture) error{
		"quota": func(d *storetest.Fixture) error {
			_, err := d.Store.Tenants.ChangeWorkspace(t.Context(), d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{TrialsPerDay: new(1)}})
			return err
		},
		"deletion": func(d *storetest.Fixture) error {
			_, err := d.Store.Lifecycle.DeleteWorkspace(t.Context(), d.Space.ID, d.Space.Name, "an admin")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			submit := func(key string, entered, leave chan struct{}) <-chan error {
				ended := make(chan error, 1)
				go func() {
					_, err := d.Store.Submit(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key, Adds: store.AddsOne},
						func(context.Context, *store.Tx) (store.Response, error) {
							close(entered)
							<-leave
							return store.Response{Status: 202, Body: []byte("{}")}, nil
						})
					ended <- err
				}()
				return ended
			}
			entered, leave := make(chan struct{}), make(chan struct{})
			release := sync.OnceFunc(func() { close(leave) })
			t.Cleanup(release)
			first := submit("first", entered, leave)
			<-entered
			changed := make(chan error, 1)
			go func() { changed <- change(d) }()
			d.AwaitBlocked()
			later, left := make(chan struct{}), make(chan struct{})
			close(left)
			second := submit("second", later, left)
			require.Never(t, func() bool { return closed(later) }, 300*time.Millisecond, 10*time.Millisecond,
				"a submission that began after the change goes ahead of it")
			d.AwaitBlockedBy(2)
			release()
			require.NoError(t, <-first)
			require.NoError(t, <-changed)
			err := <-second
			if name == "deletion" {
				require.ErrorIs(t, err, store.ErrNotFound)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// A submission that has waited for a change for as long as it may is not that of a key which is in use.
func TestASubmissionThatWaitsTooLongForAChangeSaysSo(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.Open(`select pg_advisory_xact_lock(hashtextextended('millrace change ` + d.Space.ID.String() + `', 0))`)
	config := d.Pool.Config()
	config.ConnConfig.RuntimeParams["lock_timeout"] = "300"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = stores.New(pool, nil).Submit(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k", Adds: store.AddsOne},
		func(context.Context, *store.Tx) (store.Response, error) { return store.Response{Status: 202}, nil })
	require.Equal(t, store.LockNotAvailable, store.SQLState(err), "%v", err)
	require.NotErrorIs(t, err, store.ErrKeyBusy)
	require.True(t, store.Transient(err))
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A submission in steps waits for a change, as one of a single transaction does.
func TestASubmissionInStepsWaitsForAChangeOfItsWorkspace(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	config := d.Pool.Config()
	config.ConnConfig.RuntimeParams["lock_timeout"] = "300"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	stepped := 0
	steps := store.Steps{
		Begin: func(context.Context, *store.Tx) ([]byte, error) { return []byte("{}"), nil },
		Step: func(_ context.Context, _ *store.Tx, left []byte) ([]byte, *store.Response, error) {
			stepped++
			if stepped == 1 {
				return left, nil, nil
			}
			return nil, &store.Response{Status: 200}, nil
		},
	}
	resp, err := stores.New(pool, nil).SubmitSteps(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "before"}, steps)
	require.NoError(t, err)
	require.Equal(t, 200, resp.Status)
	require.Equal(t, 2, stepped)
	d.Open(`select pg_advisory_xact_lock(hashtextextended('millrace change ` + d.Space.ID.String() + `', 0))`)
	_, err = stores.New(pool, nil).SubmitSteps(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "during"}, steps)
	require.Equal(t, store.LockNotAvailable, store.SQLState(err), "%v", err)
	require.Equal(t, 2, stepped, "a step is taken while the workspace is changed")
}
