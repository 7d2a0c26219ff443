package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

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
	require.NotContains(t, strings.Join(trips.Take(), "; "), "queue_submission")
	return d, at, running, waiting, trips
}

// A tune that has to wait, as the one before it had to, joins the queue in one round trip. Whatever has changed meanwhile is
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
		"a later version": {change: func(d *storetest.Fixture, _, _ uuid.UUID) {
			d.Exec(`update datasets set superseded = true where id = $1`, d.Dataset.ID)
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
			took := trips.Take()
			sent := strings.Join(took, "; ")
			require.Contains(t, sent, "queue_submission")
			require.Equal(t, !c.joins, strings.Contains(sent, "open_submission"), sent)
			require.False(t, c.joins && len(took) > 1, sent)
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

const (
	untilItsKey = `insert into idempotency_keys (workspace_id, route, key, fingerprint) select id, 'test', 'third', sha256('') from workspaces`
	untilItsJob = `lock table river_job in exclusive mode`
)

// whileJoining submits a tune, and calls fn while that waits to write what another transaction holds, its job or its key.
func whileJoining(d *storetest.Fixture, at *stores.Set, until string, fn func()) (made uuid.UUID) {
	d.T.Helper()
	ctx := d.T.Context()
	holder, err := d.Owner.Begin(ctx)
	require.NoError(d.T, err)
	_, err = holder.Exec(ctx, until)
	require.NoError(d.T, err)
	done := make(chan struct{})
	var submitted error
	go func() {
		defer close(done)
		made, submitted = submitTune(ctx, d, at, "third", 0)
	}()
	require.Eventually(d.T, func() bool {
		var waits bool
		err := d.Owner.QueryRow(ctx, `
			select exists (select from pg_stat_activity where datname = current_database() and wait_event in ('relation', 'transactionid'))`).Scan(&waits)
		return err == nil && waits
	}, 30*time.Second, time.Millisecond)
	fn()
	require.NoError(d.T, holder.Rollback(ctx))
	<-done
	require.NoError(d.T, submitted)
	return made
}

// What ends while a tune joins the queue admits that tune, if no other waits before it.
func TestAnEndSeesTheTuneThatIsJoining(t *testing.T) {
	t.Parallel()
	d, at, running, waiting, trips := behind(t)
	ctx := t.Context()
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, waiting)
	require.NoError(t, err)
	ended := make(chan struct{})
	third := whileJoining(d, at, untilItsKey, func() {
		go func() {
			defer close(ended)
			_, err := d.Store.Tuning.Cancel(context.WithoutCancel(ctx), d.Space.ID, running)
			assert.NoError(t, err)
		}()
		awaitEntering(d, 1, ended)
	})
	<-ended
	require.NotContains(t, strings.Join(trips.Take(), "; "), "open_submission(")
	require.True(t, admitted(d, third), "a tune waits although there is room")
}

// Nor is a dataset deleted, or a workspace changed, while a tune that names it joins.
func TestWhatAJoiningTuneNamesIsHeld(t *testing.T) {
	t.Parallel()
	d, at, _, _, _ := behind(t)
	whileJoining(d, at, untilItsJob, func() {
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
	})
}

// The same submission twice at once joins once; the second waits for the first and has its answer.
func TestOneKeyJoinsOnce(t *testing.T) {
	t.Parallel()
	d, at, _, _, _ := behind(t)
	done := make(chan struct{})
	var again uuid.UUID
	var second error
	third := whileJoining(d, at, untilItsKey, func() {
		go func() {
			defer close(done)
			again, second = submitTune(t.Context(), d, at, "third", 0)
		}()
		awaitEntering(d, 1, done)
	})
	require.NotEqual(t, uuid.Nil, third)
	<-done
	require.NoError(t, second)
	require.Equal(t, uuid.Nil, again, "the effect ran again")
	var n int
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select count(*) from tunes`).Scan(&n))
	require.Equal(t, 3, n)
}

// What is answered before the transaction has begun has its time, to the byte what is stored, and what would not fit that is not
// joined: as a text that looks like the time that is not known yet.
func TestTheAnswerOfAJoiningTuneHasTheTimeOfItsTransaction(t *testing.T) {
	t.Parallel()
	d, at, _, _, trips := behind(t)
	ctx := t.Context()
	for i, around := range []string{`{"at":%s}`, `{}`, `{"at":%[1]s,"name":%[1]s}`} {
		sub := store.Submission{Workspace: d.Space.ID, Route: "test", Key: fmt.Sprint("at", i)}
		var id uuid.UUID
		create := func() store.Response {
			resp, err := at.Tuning.Create(ctx, sub, newTune(d), func(tune *tuning.Tune) (store.Response, error) {
				created, err := json.Marshal(tune.CreatedAt.UTC())
				id = tune.ID
				body := around
				if strings.Contains(around, "%") {
					body = fmt.Sprintf(around, created)
				}
				return store.Response{Status: http.StatusAccepted, Location: "/x/" + id.String(), Body: []byte(body)}, err
			})
			require.NoError(t, err)
			return resp
		}
		trips.Take()
		made := create()
		require.Equal(t, i == 2, strings.Contains(strings.Join(trips.Take(), "; "), "open_submission"))
		tune, err := d.Store.Tuning.Get(ctx, d.Space.ID, id)
		require.NoError(t, err)
		created, err := json.Marshal(tune.CreatedAt.UTC())
		require.NoError(t, err)
		if i != 1 {
			require.Contains(t, string(made.Body), string(created))
		}
		again := create()
		require.True(t, again.Replayed)
		require.Equal(t, string(made.Body), string(again.Body))
	}
	for _, at := range []string{"2026-11-30T18:20:40Z", "2026-11-30T18:20:00.1Z", "2000-01-01T00:00:00.000001Z", "2026-10-10T10:10:10.10101Z"} {
		var written string
		require.NoError(t, d.Owner.QueryRow(ctx, `select convert_from(`+strings.ReplaceAll(store.OwnTime, "now()", "$1::timestamptz")+`, 'UTF8')`, at).Scan(&written))
		require.Equal(t, at, written)
	}
}

// The audit entry of a tune that does not join names the tune that was made then, not the one that would have joined.
func TestTheEntryOfATuneThatDoesNotJoinNamesIt(t *testing.T) {
	t.Parallel()
	d, at, _, _, _ := behind(t)
	d.Exec(`update workspaces set tune_cap = 5 where id = $1`, d.Space.ID)
	ctx := store.WithAudit(t.Context(), store.NewAudit(d.Space.ID, store.AuditEntry{}).OfSubmission())
	var ids []string
	_, err := at.Tuning.Create(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: "third"}, newTune(d),
		func(tune *tuning.Tune) (store.Response, error) {
			ids = append(ids, tune.ID.String())
			return store.Response{Status: http.StatusAccepted, Location: "/backtests/tunes/" + tune.ID.String()}, nil
		})
	require.NoError(t, err)
	var entry string
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select entry from audit_unsealed`).Scan(&entry))
	require.Contains(t, entry, ids[len(ids)-1])
	require.Greater(t, len(ids), 1)
}

// A submission whose commit fails has made nothing: what is sent at once commits with its last answer, which is its own error.
func TestAJoiningTuneWhoseCommitFailsIsNotThere(t *testing.T) {
	t.Parallel()
	d, at, _, _, _ := behind(t)
	d.Exec(`create function refuse() returns trigger language plpgsql as 'begin raise exception ''not today''; end'`)
	d.Exec(`create constraint trigger refused after insert on tunes deferrable initially deferred for each row execute function refuse()`)
	ctx := store.WithAudit(t.Context(), store.NewAudit(d.Space.ID, store.AuditEntry{}).OfSubmission())
	_, err := submitTune(ctx, d, at, "third", 0)
	require.ErrorContains(t, err, "not today")
	var n int
	require.NoError(t, d.Owner.QueryRow(t.Context(), `
		select (select count(*) from tunes) + (select count(*) from river_job) + (select count(*) from idempotency_keys where key = 'third')
		       + (select count(*) from audit_unsealed)`).Scan(&n))
	require.Equal(t, 4, n, "the two before, and their jobs")
	d.Exec(`drop trigger refused on tunes`)
	third, err := submitTune(ctx, d, at, "third", 0)
	require.NoError(t, err)
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select count(*) from audit_unsealed`).Scan(&n))
	require.Equal(t, 1, n)
	require.False(t, admitted(d, third))
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
