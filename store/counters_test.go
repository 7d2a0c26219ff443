package store_test

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
)

// counted is what a scan of river_job counts, of the workspace or of the fleet.
func (d *fixture) counted(workspace uuid.NullUUID) []eventlog.JobCount {
	d.t.Helper()
	rows, err := d.owner.Query(d.t.Context(), `
		select queue, state::text, count(*) from river_job
		 where $1::uuid is null or args ->> 'workspace_id' = $1::text
		 group by 1, 2 order by 1, 2`, workspace)
	require.NoError(d.t, err)
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[eventlog.JobCount])
	require.NoError(d.t, err)
	return counts
}

func (d *fixture) counters(workspace uuid.NullUUID) *eventlog.Counters {
	d.t.Helper()
	d.waitForReaders()
	require.NoError(d.t, d.store.EventLog.FoldCounters(d.t.Context()))
	c, err := d.store.EventLog.Counters(d.t.Context(), workspace)
	require.NoError(d.t, err)
	return c
}

func (d *fixture) exec(sql string, args ...any) {
	d.t.Helper()
	_, err := d.owner.Exec(d.t.Context(), sql, args...)
	require.NoError(d.t, err)
}

// open begins a transaction, executes in it, and leaves it open.
func (d *fixture) open(sql string) pgx.Tx {
	d.t.Helper()
	tx, err := d.owner.Begin(d.t.Context())
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(d.t.Context(), sql)
	require.NoError(d.t, err)
	return tx
}

// churn inserts, works, fails, deletes and rolls back jobs of two queues and two workspaces.
func (d *fixture) churn(ctx context.Context, seed uint64, rounds int, spaces []string) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		tx, err := d.owner.Begin(ctx)
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
	d := newFixture(t)
	ctx := t.Context()
	spaces := []string{d.space.ID.String(), uuid.NewString()}
	require.NoError(t, d.churn(ctx, 99, 10, spaces)) // before anything was counted
	var work, folding errgroup.Group
	for seed := range uint64(4) {
		work.Go(func() error { return d.churn(ctx, seed, 60, spaces) })
	}
	stop, cancel := context.WithCancel(ctx)
	for range 2 {
		folding.Go(func() error {
			for stop.Err() == nil {
				if err := d.store.EventLog.FoldCounters(ctx); err != nil {
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
	require.Equal(t, d.counted(uuid.NullUUID{}), d.counters(uuid.NullUUID{}).Jobs)
	mine := uuid.NullUUID{UUID: d.space.ID, Valid: true}
	require.NotEmpty(t, d.counted(mine))
	require.Equal(t, d.counted(mine), d.counters(mine).Jobs)
	other := uuid.NullUUID{UUID: uuid.New(), Valid: true}
	require.Empty(t, d.counters(other).Jobs)
}

// A transaction that is open while later ones commit is counted when it ends.
func TestCountersWaitForOpenTransactions(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	const insert = `insert into river_job (kind, args, queue, max_attempts, state) values ('test', '{}', 'q', 3, 'available')`
	d.counters(uuid.NullUUID{})
	early := d.open(insert)
	d.exec(insert)
	require.NoError(t, d.store.EventLog.FoldCounters(ctx))
	require.NoError(t, early.Commit(ctx))
	require.EqualValues(t, 2, d.counters(uuid.NullUUID{}).Depth("q", "available"))

	// The same around a count from the start, which looks at jobs instead of events.
	early = d.open(insert)
	d.exec(insert)
	d.exec(`update river_job set state = 'running' where id = (select max(id) from river_job)`)
	d.exec(`update counters_place set epoch = 'another life'`)
	require.NoError(t, d.store.EventLog.FoldCounters(ctx))
	require.NoError(t, early.Commit(ctx))
	require.Equal(t, d.counted(uuid.NullUUID{}), d.counters(uuid.NullUUID{}).Jobs)
}

func TestCountersOutliveThePruningOfTheLog(t *testing.T) {
	d := newFixture(t)
	d.exec(`insert into river_job (kind, args, queue, max_attempts, state) values ('test', '{}', 'q', 3, 'available')`)
	d.counters(uuid.NullUUID{})
	d.exec(`insert into river_job (kind, args, queue, max_attempts, state) values ('test', '{}', 'q', 3, 'available')`)
	d.exec(`delete from event_log`)
	d.exec(`update event_epoch set floor_xid = pg_current_xact_id()`)
	require.EqualValues(t, 2, d.counters(uuid.NullUUID{}).Waiting("q"))
}

// Events of a dumped server's transactions, with ids that this server has not come to yet, would
// appear in the feed some day.
func TestARestoredLogIsDisowned(t *testing.T) {
	d := newFixture(t)
	d.counters(uuid.NullUUID{})
	d.exec(`insert into event_log (xid, topic, type, entity_id) values ('9000000', 'jobs', 'test', 'old')`)
	kept := d.logged(time.Now())
	d.exec(`update event_epoch set id = gen_random_uuid()`) // as a restore is distinguished from the original
	d.counters(uuid.NullUUID{})
	var old int
	require.NoError(t, d.owner.QueryRow(t.Context(), `select count(*) from event_log where entity_id = 'old'`).Scan(&old))
	require.Zero(t, old)
	bounds, err := d.store.EventLog.Bounds(t.Context())
	require.NoError(t, err)
	require.False(t, bounds.Covers(kept), "a cursor of the former life")
}

func TestStatusesAndWindowsAreCounted(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	mine := uuid.NullUUID{UUID: d.space.ID, Valid: true}
	// A test's database is a clone with an epoch of its own, so the first count begins the windows.
	d.counters(mine)
	first, _ := d.tune("1")
	d.tune("2")
	c := d.counters(mine)
	require.Equal(t, map[string]int64{"queued": 2}, c.Statuses["tune"])
	require.EqualValues(t, 2, c.Active("tune"))
	require.EqualValues(t, 2, c.Hour["backtest.tune.queued"])
	require.EqualValues(t, 2, c.Day["backtest.tune.queued"])
	require.WithinDuration(t, time.Now(), c.AsOf, time.Minute)
	_, err := d.store.Tuning.Cancel(ctx, d.space.ID, first.ID)
	require.NoError(t, err)
	for _, scope := range []uuid.NullUUID{mine, {}} {
		c = d.counters(scope)
		require.Equal(t, map[string]int64{"queued": 1, "canceled": 1}, c.Statuses["tune"])
		require.EqualValues(t, 1, c.Day["backtest.tune.canceled"])
	}
	require.NoError(t, d.store.EventLog.AddCount(ctx, "sse.drop", 3))
	require.NoError(t, d.store.EventLog.AddCount(ctx, "sse.drop", 4))
	require.EqualValues(t, 7, d.counters(uuid.NullUUID{}).Hour["sse.drop"])
	require.Zero(t, d.counters(mine).Hour["sse.drop"])

	d.exec(`update event_counts set began_at = began_at - interval '70 minutes'`)
	c = d.counters(uuid.NullUUID{})
	require.Zero(t, c.Hour["sse.drop"], "over an hour ago")
	require.EqualValues(t, 7, c.Day["sse.drop"])
	d.exec(`update event_counts set began_at = began_at - interval '25 hours'`)
	require.NoError(t, d.store.EventLog.TidyCounters(ctx))
	var left int
	require.NoError(t, d.owner.QueryRow(ctx, `select count(*) from event_counts`).Scan(&left))
	require.Zero(t, left)
	d.exec(`delete from tunes`)
	require.Empty(t, d.counters(mine).Statuses)
}
