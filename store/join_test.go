package store_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

// behind is a fixture whose cap of one is taken by a tune, as a process knows that submits a tune which has to wait, and
// what that process sends.
func behind(t *testing.T) (d *storetest.Fixture, at *stores.Set, running, waiting uuid.UUID, trips *storetest.RoundTrips) {
	t.Helper()
	d = storetest.New(t)
	_, err := d.Store.Tenants.ChangeWorkspace(t.Context(), d.Space.ID, tenants.WorkspaceChange{TuneCap: new(1)})
	require.NoError(t, err)
	trips = &storetest.RoundTrips{}
	at = servers(d, 1, 4, trips)[0]
	running, err = submitTune(t.Context(), d, at, "running", 0)
	require.NoError(t, err)
	require.True(t, admitted(d, running))
	waiting, err = submitTune(t.Context(), d, at, "waiting", 0)
	require.NoError(t, err)
	require.False(t, admitted(d, waiting))
	require.NotContains(t, strings.Join(trips.Take(), "; "), "join_submission")
	return d, at, running, waiting, trips
}

// A tune that has to wait, as the one before it had to, joins the queue in two round trips. Whatever has changed meanwhile is
// seen, and it is submitted as any other.
func TestATuneJoinsTheQueueUnlessAnythingHasChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(d *storetest.Fixture, running, waiting uuid.UUID)
		key    string
		joins  bool
		fails  any // type or value of the error
		after  func(t *testing.T, d *storetest.Fixture, made uuid.UUID)
		next   bool // one that follows joins
	}{
		"nothing": {joins: true, after: func(t *testing.T, d *storetest.Fixture, made uuid.UUID) {
			require.False(t, admitted(d, made))
		}},
		"both ended": {change: func(d *storetest.Fixture, running, waiting uuid.UUID) {
			for _, id := range []uuid.UUID{waiting, running} {
				_, err := d.Store.Tuning.Cancel(d.T.Context(), d.Space.ID, id)
				require.NoError(d.T, err)
			}
		}, after: func(t *testing.T, d *storetest.Fixture, made uuid.UUID) {
			require.True(t, admitted(d, made), "it waits although there is room")
		}},
		"a greater cap": {change: func(d *storetest.Fixture, _, _ uuid.UUID) {
			d.Exec(`update workspaces set tune_cap = 5 where id = $1`, d.Space.ID)
		}, after: func(t *testing.T, d *storetest.Fixture, made uuid.UUID) {
			require.True(t, admitted(d, made))
		}},
		"a quota": {change: func(d *storetest.Fixture, _, _ uuid.UUID) {
			d.Exec(`update workspaces set trials_per_day = 9 where id = $1`, d.Space.ID)
		}, fails: new(*store.QuotaError)},
		"no dataset by the name": {change: func(d *storetest.Fixture, _, _ uuid.UUID) {
			d.Exec(`update datasets set name = 'other' where id = $1`, d.Dataset.ID)
		}, fails: store.ErrMoved},
		"another dataset by the name": {change: func(d *storetest.Fixture, _, _ uuid.UUID) {
			d.Exec(`update datasets set name = 'other' where id = $1`, d.Dataset.ID)
			bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 2, Bars: 300})
			require.NoError(d.T, err)
			_, err = d.Store.Market.PutDataset(d.T.Context(), d.Space.ID, market.Dataset{Name: d.Dataset.Name, Symbol: "X", Timeframe: "1d", Calendar: 252}, bars)
			require.NoError(d.T, err)
		}, fails: store.ErrMoved},
		"a dataset that is gone": {change: func(d *storetest.Fixture, _, _ uuid.UUID) {
			d.Exec(`update datasets set deleted_at = now() where id = $1`, d.Dataset.ID)
		}, fails: new(*store.DatasetGoneError)},
		"a workspace that is gone": {change: func(d *storetest.Fixture, _, _ uuid.UUID) {
			d.Exec(`update workspaces set deleted_at = now() where id = $1`, d.Space.ID)
		}, fails: store.ErrNotFound},
		"the same again": {key: "waiting", after: func(t *testing.T, d *storetest.Fixture, made uuid.UUID) {
			require.Equal(t, uuid.Nil, made, "the effect ran again")
			var n int
			require.NoError(t, d.Owner.QueryRow(t.Context(), `select count(*) from tunes`).Scan(&n))
			require.Equal(t, 2, n)
		}, next: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, at, running, waiting, trips := behind(t)
			if c.change != nil {
				c.change(d, running, waiting)
			}
			if c.key == "" {
				c.key = "third"
			}
			made, err := submitTune(t.Context(), d, at, c.key, 0)
			sent := strings.Join(trips.Take(), "; ")
			require.Contains(t, sent, "join_submission")
			require.Equal(t, !c.joins, strings.Contains(sent, "open_submission"), sent)
			switch is := c.fails.(type) {
			case nil:
				require.NoError(t, err)
				c.after(t, d, made)
				if c.next {
					_, err = submitTune(t.Context(), d, at, "next", 0)
					require.NoError(t, err)
					require.NotContains(t, strings.Join(trips.Take(), "; "), "open_submission", "a replay made it forget that the cap is taken")
				}
			case error:
				require.ErrorIs(t, err, is)
			default:
				require.ErrorAs(t, err, is)
			}
		})
	}
}

// What ends while a tune joins the queue admits that tune, if no other waits before it.
func TestAnEndSeesTheTuneThatIsJoining(t *testing.T) {
	t.Parallel()
	d, at, running, waiting, trips := behind(t)
	ctx := t.Context()
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, waiting)
	require.NoError(t, err)
	ended := make(chan struct{})
	var third uuid.UUID
	_, err = at.Tuning.Create(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: "third"}, newTune(d),
		func(tune *tuning.Tune) (store.Response, error) {
			require.False(t, tune.Admitted)
			third = tune.ID
			go func() {
				defer close(ended)
				_, err := d.Store.Tuning.Cancel(context.WithoutCancel(ctx), d.Space.ID, running)
				assert.NoError(t, err)
			}()
			awaitEntering(d, 1, ended)
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(t, err)
	<-ended
	require.NotContains(t, strings.Join(trips.Take(), "; "), "open_submission(")
	require.True(t, admitted(d, third), "a tune waits although there is room")
}

// Nor is a dataset deleted, or a workspace changed, while a tune that names it joins.
func TestWhatAJoiningTuneNamesIsHeld(t *testing.T) {
	t.Parallel()
	d, at, _, _, _ := behind(t)
	_, err := at.Tuning.Create(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "third"}, newTune(d),
		func(*tuning.Tune) (store.Response, error) {
			for _, held := range []string{
				`select from datasets for update nowait`, `select from workspaces for update nowait`,
				`select 1 / (pg_try_advisory_xact_lock(hashtextextended('millrace change ' || (select id from workspaces)::text, 0))::int - 1)`,
			} {
				_, err := d.Owner.Exec(t.Context(), held)
				if strings.Contains(held, "nowait") {
					assert.Equal(t, store.LockNotAvailable, store.SQLState(err), held)
				} else {
					assert.NoError(t, err, "the lock of changes is free")
				}
			}
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(t, err)
}

// The same submission twice at once joins once; the second waits for the first and has its answer.
func TestOneKeyJoinsOnce(t *testing.T) {
	t.Parallel()
	d, at, _, _, _ := behind(t)
	second := make(chan error, 1)
	done := make(chan struct{})
	var again uuid.UUID
	_, err := at.Tuning.Create(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "third"}, newTune(d),
		func(*tuning.Tune) (store.Response, error) {
			go func() {
				defer close(done)
				var err error
				again, err = submitTune(t.Context(), d, at, "third", 0)
				second <- err
			}()
			awaitEntering(d, 1, done)
			return store.Response{Status: http.StatusAccepted, Body: []byte("{}")}, nil
		})
	require.NoError(t, err)
	require.NoError(t, <-second)
	require.Equal(t, uuid.Nil, again, "the effect ran again")
}

// Work that the cap does not count says nothing of it: a tune that follows joins the queue as before.
func TestOtherWorkLeavesInMindThatAWorkspaceIsFull(t *testing.T) {
	t.Parallel()
	d, at, _, _, trips := behind(t)
	_, err := at.DB.Submit(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "other", Key: "other"},
		func(context.Context, *store.Tx) (store.Response, error) {
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(t, err)
	trips.Take()
	_, err = submitTune(t.Context(), d, at, "third", 0)
	require.NoError(t, err)
	require.NotContains(t, strings.Join(trips.Take(), "; "), "open_submission")
}
