package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/store"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// JobCount is how many of River's jobs are in one state of one queue.
type JobCount struct {
	Queue string
	State string // available, running, retryable, …
	Jobs  int64
}

// Counters are counts of the whole fleet or of one workspace. They are kept up to date from the
// event log, so reading them costs the same however many jobs there are, and they are as true
// after a restart, and in another process, as before.
type Counters struct {
	Jobs []JobCount
	// Statuses count rows by subject and status: Statuses["tune"]["running"].
	Statuses map[string]map[string]int64
	// Hour and Day count the events of each type in the past 60 minutes and 24 hours, to the
	// minute and to the quarter of an hour: Day["backtest.tune.completed"]. What was counted by
	// AddCount is there under its own name.
	Hour, Day map[string]int64
	// AsOf is when the counts were last brought up to date. While nothing happens at all it may
	// be some seconds old.
	AsOf time.Time
}

// Depth is how many jobs of a queue are in any of the states.
func (c *Counters) Depth(queue string, states ...string) int64 {
	var sum int64
	for _, j := range c.Jobs {
		for _, state := range states {
			if j.Queue == queue && j.State == state {
				sum += j.Jobs
			}
		}
	}
	return sum
}

// Waiting is how many jobs of a queue are to be worked: now, at a later time, or again after an
// error.
func (c *Counters) Waiting(queue string) int64 {
	return c.Depth(queue, "available", "pending", "scheduled", "retryable")
}

// Active is how many rows of a subject are queued or running.
func (c *Counters) Active(subject string) int64 {
	return c.Statuses[subject]["queued"] + c.Statuses[subject]["pending"] + c.Statuses[subject]["running"]
}

// Counters reads the counts of a workspace or, when it is not valid, of the whole fleet.
func (s *Store) Counters(ctx context.Context, workspace uuid.NullUUID) (*Counters, error) {
	c := &Counters{Statuses: map[string]map[string]int64{}}
	read := func(tx *store.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`
			select subject, queue, state, n from counters where workspace_id = $1 and n <> 0
			 order by subject, queue, state`, workspace.UUID).Query(c.scanCounts)
		batch.Queue(countsSince, workspace.UUID, time.Minute, time.Hour).Query(scanWindow(&c.Hour))
		batch.Queue(countsSince, workspace.UUID, 15*time.Minute, 24*time.Hour).Query(scanWindow(&c.Day))
		batch.Queue(`select folded_at from counters_place`).QueryRow(func(row pgx.Row) error {
			if err := row.Scan(&c.AsOf); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil // not counted yet
		})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("read counters: %w", err)
		}
		return nil
	}
	var err error
	if workspace.Valid {
		err = s.db.InWorkspace(ctx, workspace.UUID, read)
	} else {
		err = s.db.InFleet(ctx, read)
	}
	return c, err
}

// A span that began before the window but ends within it counts.
const countsSince = `
	select type, sum(n)::bigint from event_counts
	 where workspace_id = $1 and span = $2 and began_at > clock_timestamp() - $3::interval - $2::interval
	 group by type`

func (c *Counters) scanCounts(rows pgx.Rows) error {
	var subject, queue, state string
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&subject, &queue, &state, &n}, func() error {
		if subject == "job" {
			c.Jobs = append(c.Jobs, JobCount{Queue: queue, State: state, Jobs: n})
			return nil
		}
		if c.Statuses[subject] == nil {
			c.Statuses[subject] = map[string]int64{}
		}
		c.Statuses[subject][state] = n
		return nil
	})
	return err
}

func scanWindow(into *map[string]int64) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		counts := map[string]int64{}
		var typ string
		var n int64
		_, err := pgx.ForEachRow(rows, []any{&typ, &n}, func() error {
			counts[typ] = n
			return nil
		})
		*into = counts
		return err
	}
}

// foldPage is how many events one transaction counts.
const foldPage = 20_000

// FoldCounters brings the counters up to date with the log. Processes that call it at once do not
// wait for each other: one counts, and the others find it running.
func (s *Store) FoldCounters(ctx context.Context) error {
	for {
		var folded *int
		err := s.db.InFleet(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(ctx, `select counters_fold($1)`, foldPage).Scan(&folded)
		})
		if err != nil {
			return fmt.Errorf("fold counters: %w", err)
		}
		if folded == nil || *folded < foldPage {
			return nil
		}
	}
}

// AddCount counts something that is not an event, under a name that no event type has, for the Hour
// and Day of the whole fleet. It takes row locks, so it is for what is rare or summed up before.
func (s *Store) AddCount(ctx context.Context, name string, n int64) error {
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into event_counts (workspace_id, span, began_at, type, n)
			select $1, span, date_bin(span, clock_timestamp(), 'epoch'), $2, $3
			  from unnest(array[interval '1 minute', interval '15 minutes']) span
			on conflict (workspace_id, span, began_at, type) do update set n = event_counts.n + excluded.n`,
			uuid.Nil, name, n)
		return err
	})
	if err != nil {
		return fmt.Errorf("count %s: %w", name, err)
	}
	return nil
}

// TidyCounters removes what no window reaches back to any more.
func (s *Store) TidyCounters(ctx context.Context) error {
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			delete from event_counts
			 where began_at < now() - case when span = interval '1 minute' then interval '2 hours' else interval '25 hours' end`)
		return err
	})
	if err != nil {
		return fmt.Errorf("tidy counters: %w", err)
	}
	return nil
}

// ConnErrorCount is the name under which failed connection attempts are counted for the fleet.
const ConnErrorCount = "db.connection_error"

// CountConnErrors adds this process's failed connection attempts to the fleet's count.
func (s *Store) CountConnErrors(ctx context.Context) error {
	n := s.db.TakeConnErrors()
	if n == 0 {
		return nil
	}
	if err := s.AddCount(ctx, ConnErrorCount, n); err != nil {
		s.db.PutBackConnErrors(n)
		return err
	}
	return nil
}
