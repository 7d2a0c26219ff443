package eventlog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/store/eventlog"
	"millrace/store/storetest"
)

// counted is what a scan of river_job counts, of the workspace or of the fleet.
func counted(d *storetest.Fixture, workspace uuid.NullUUID) []eventlog.JobCount {
	d.T.Helper()
	rows, err := d.Owner.Query(d.T.Context(), `
		select queue, state::text, count(*) from river_job
		 where $1::uuid is null or args ->> 'workspace_id' = $1::text
		 group by 1, 2 order by 1, 2`, workspace)
	require.NoError(d.T, err)
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[eventlog.JobCount])
	require.NoError(d.T, err)
	return counts
}

func counters(d *storetest.Fixture, workspace uuid.NullUUID) *eventlog.Counters {
	d.T.Helper()
	d.AwaitReaders()
	require.NoError(d.T, d.Store.EventLog.FoldCounters(d.T.Context()))
	c, err := d.Store.EventLog.Counters(d.T.Context(), workspace)
	require.NoError(d.T, err)
	return c
}

// churn inserts, works, fails, deletes and rolls back jobs of two queues and two workspaces.
func churn(d *storetest.Fixture, ctx context.Context, seed uint64, rounds int, spaces []string) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		tx, err := d.Owner.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(ctx) }()
		for range 1 + rng.IntN(3) {
			queue, space := fmt.Sprint("q", rng.IntN(2)), spaces[rng.IntN(len(spaces))]
			switch rng.IntN(4) {
			case 0, 1:
				_, err = tx.Exec(ctx, `insert into river_job (kind, args, queue, max_attempts, state)
					select 'test', jsonb_build_object('workspace_id', $1::text), $2, 3, 'available' from generate_series(1, $3)`,
					space, queue, 1+rng.IntN(5))
			case 2:
				_, err = tx.Exec(ctx, `update river_job set state = (case state when 'available' then 'running' else 'completed' end)::river_job_state,
					finalized_at = case state when 'available' then null else now() end
					where id in (select id from river_job where finalized_at is null order by random() limit 3 for update skip locked)`)
			default:
				_, err = tx.Exec(ctx, `delete from river_job where id in
					(select id from river_job where state = 'completed' order by random() limit 2 for update skip locked)`)
			}
			if err != nil {
				return err
			}
		}
		if rng.IntN(5) == 0 {
			err = tx.Rollback(ctx)
		} else {
			err = tx.Commit(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Counting while many transactions change jobs, by several processes at once, ends with what a
// scan counts: nothing was left out and nothing counted twice.
func TestCountersAgreeWithAScan(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	spaces := []string{d.Space.ID.String(), uuid.NewString()}
	require.NoError(t, churn(d, ctx, 99, 10, spaces)) // before anything was counted
	var work, folding errgroup.Group
	for seed := range uint64(4) {
		work.Go(func() error { return churn(d, ctx, seed, 60, spaces) })
	}
	stop, cancel := context.WithCancel(ctx)
	for range 2 {
		folding.Go(func() error {
			for stop.Err() == nil {
				if err := d.Store.EventLog.FoldCounters(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := work.Wait()
	cancel()
	require.NoError(t, err)
	require.NoError(t, folding.Wait())
	require.Equal(t, counted(d, uuid.NullUUID{}), counters(d, uuid.NullUUID{}).Jobs)
	mine := uuid.NullUUID{UUID: d.Space.ID, Valid: true}
	require.NotEmpty(t, counted(d, mine))
	require.Equal(t, counted(d, mine), counters(d, mine).Jobs)
	other, err := d.Store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	require.Empty(t, counters(d, uuid.NullUUID{UUID: other.ID, Valid: true}).Jobs)
}

// A transaction that is open while later ones commit is counted when it ends.
func TestCountersWaitForOpenTransactions(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	const insert = `insert into river_job (kind, args, queue, max_attempts, state) values ('test', '{}', 'q', 3, 'available')`
	counters(d, uuid.NullUUID{})
	early := d.Open(insert)
	d.Exec(insert)
	require.NoError(t, d.Store.EventLog.FoldCounters(ctx))
	require.NoError(t, early.Commit(ctx))
	require.EqualValues(t, 2, counters(d, uuid.NullUUID{}).Depth("q", "available"))

	// The same around a count from the start, which looks at jobs instead of events.
	early = d.Open(insert)
	d.Exec(insert)
	d.Exec(`update river_job set state = 'running' where id = (select max(id) from river_job)`)
	d.Exec(`update counters_place set epoch = 'another life'`)
	require.NoError(t, d.Store.EventLog.FoldCounters(ctx))
	require.NoError(t, early.Commit(ctx))
	require.Equal(t, counted(d, uuid.NullUUID{}), counters(d, uuid.NullUUID{}).Jobs)
}

func TestCountersOutliveThePruningOfTheLog(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.Exec(`insert into river_job (kind, args, queue, max_attempts, state) values ('test', '{}', 'q', 3, 'available')`)
	counters(d, uuid.NullUUID{})
	d.Exec(`insert into river_job (kind, args, queue, max_attempts, state) values ('test', '{}', 'q', 3, 'available')`)
	d.Exec(`delete from event_log`)
	d.Exec(`update event_epoch set floor_xid = pg_current_xact_id()`)
	require.EqualValues(t, 2, counters(d, uuid.NullUUID{}).Waiting("q"))
}

// Events of a dumped server's transactions, with ids that this server has not come to yet, would
// appear in the feed some day.
func TestARestoredLogIsDisowned(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	counters(d, uuid.NullUUID{})
	d.Exec(`insert into event_log (xid, topic, type, entity_id) values ('9000000', 'jobs', 'test', 'old')`)
	kept := logged(d, time.Now())
	d.Exec(`update event_epoch set id = gen_random_uuid()`) // as a restore is distinguished from the original
	counters(d, uuid.NullUUID{})
	var old int
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select count(*) from event_log where entity_id = 'old'`).Scan(&old))
	require.Zero(t, old)
	bounds, err := d.Store.EventLog.Bounds(t.Context())
	require.NoError(t, err)
	require.False(t, bounds.Covers(kept), "a cursor of the former life")
}

// A first count of a new log disowns what another server left in it, while writers of this server commit.
func TestDisowningALogKeepsTheEventsThatAreCommittedMeanwhile(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	const writers, each = 8, 300
	var work errgroup.Group
	for w := range writers {
		work.Go(func() error {
			for i := range each {
				if _, err := d.Owner.Exec(t.Context(), `insert into event_log (topic, type, entity_id) values ('jobs', 'test', $1)`,
					fmt.Sprint(w, "/", i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- work.Wait() }()
	for writing := true; writing; {
		select {
		case err := <-done:
			require.NoError(t, err)
			writing = false
		default:
			d.Exec(`select event_log_disown()`)
		}
	}
	var kept, floors int
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select count(*),
		(select count(*) from event_epoch where floor_xid >= (select min(xid) from event_log)) from event_log`).Scan(&kept, &floors))
	require.Equal(t, writers*each, kept, "events that were committed are gone")
	require.Zero(t, floors, "readers of a log that lost nothing are reset")
}

func TestStatusesAndWindowsAreCounted(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	mine := uuid.NullUUID{UUID: d.Space.ID, Valid: true}
	// A test's database is a clone with an epoch of its own, so the first count begins the windows.
	counters(d, mine)
	first, _ := d.Tune("1")
	d.Tune("2")
	c := counters(d, mine)
	require.Equal(t, map[string]int64{"queued": 2}, c.Statuses["tune"])
	require.EqualValues(t, 2, c.Active("tune"))
	require.EqualValues(t, 2, c.Hour["backtest.tune.queued"])
	require.EqualValues(t, 2, c.Day["backtest.tune.queued"])
	require.WithinDuration(t, time.Now(), c.AsOf, time.Minute)
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, first.ID)
	require.NoError(t, err)
	for _, scope := range []uuid.NullUUID{mine, {}} {
		c = counters(d, scope)
		require.Equal(t, map[string]int64{"queued": 1, "canceled": 1}, c.Statuses["tune"])
		require.EqualValues(t, 1, c.Day["backtest.tune.canceled"])
	}
	require.NoError(t, d.Store.EventLog.AddCount(ctx, "sse.drop", 3))
	require.NoError(t, d.Store.EventLog.AddCount(ctx, "sse.drop", 4))
	require.EqualValues(t, 7, counters(d, uuid.NullUUID{}).Hour["sse.drop"])
	require.Zero(t, counters(d, mine).Hour["sse.drop"])

	d.Exec(`update event_counts set began_at = began_at - interval '70 minutes'`)
	c = counters(d, uuid.NullUUID{})
	require.Zero(t, c.Hour["sse.drop"], "over an hour ago")
	require.EqualValues(t, 7, c.Day["sse.drop"])
	d.Exec(`update event_counts set began_at = began_at - interval '25 hours'`)
	require.NoError(t, d.Store.EventLog.TidyCounters(ctx))
	var left int
	require.NoError(t, d.Owner.QueryRow(ctx, `select count(*) from event_counts`).Scan(&left))
	require.Zero(t, left)
	d.Exec(`delete from tunes`)
	require.Empty(t, counters(d, mine).Statuses)
}
