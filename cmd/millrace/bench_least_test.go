package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/ops/routine"
)

// leastFeed is the least by which changes of jobs can be kept and read: a row for each statement and state, which names the
// jobs as a row of ours does, in a table with one index, and a connection that reads them in order every so often. It has no
// tenants, no kinds, no state before, no order of commits that a reader could resume by, no subscribers. What a feed adds to
// this is ours to save; this is not.
const leastFeed = `
	create table bench_changes (id bigint generated always as identity primary key, state river_job_state not null, jobs bigint[] not null);
	create function bench_change() returns trigger language plpgsql security definer as $$
	begin insert into bench_changes (state, jobs) select state, array_agg(id) from new_rows group by state; return null; end $$;
	create trigger bench_least_insert after insert on river_job referencing new table as new_rows for each statement execute function bench_change();
	create trigger bench_least_update after update on river_job referencing new table as new_rows for each statement execute function bench_change()`

// leastEvery is how often the least feed is read: as rarely as the relay does at most.
const leastEvery = 20 * time.Millisecond

// readLeast reads the least feed until stop, over one connection.
func (l *ladder) readLeast() (stop func()) {
	ctx, cancel := context.WithCancel(l.b.Context())
	done := make(chan struct{})
	routine.Go(func() error {
		var after int64
		var state string
		var jobs []int64
		for ctx.Err() == nil {
			rows, err := l.queue.owner.Query(ctx, `select id, state::text, jobs from bench_changes where id > $1 order by id`, after)
			if err != nil {
				return err
			}
			if _, err := pgx.ForEachRow(rows, []any{&after, &state, &jobs}, func() error { return nil }); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(leastEvery):
			}
		}
		return nil
	}, func(error) { close(done) })
	return func() {
		cancel()
		<-done
		l.exec(`truncate bench_changes`)
	}
}

// begin begins what reads the events of a step.
func (l *ladder) begin(s *step) (stop func()) {
	switch {
	case s.least:
		return l.readLeast()
	case s.fed:
		stop, err := l.queue.feed(l.b.Context())
		require.NoError(l.b, err)
		return stop
	}
	return func() {}
}

// leastTriggers are those that write it.
func leastTriggers() []string { return []string{"bench_least_insert", "bench_least_update"} }
