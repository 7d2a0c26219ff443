package upkeep

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/workers"
)

// DatabaseState is how the database is doing.
type DatabaseState struct {
	Query        time.Duration // for the smallest of queries, there and back
	ConnErrors5m int64         // failed connection attempts of the fleet
}

// DatabaseState asks the database.
func (s *Store) DatabaseState(ctx context.Context) (DatabaseState, error) {
	var state DatabaseState
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		var one int
		began := time.Now()
		if err := tx.QueryRow(ctx, `select 1`).Scan(&one); err != nil {
			return fmt.Errorf("query: %w", err)
		}
		state.Query = time.Since(began)
		err := tx.QueryRow(ctx, `
			select coalesce(sum(n), 0)::bigint from event_counts
			 where workspace_id = '00000000-0000-0000-0000-000000000000' and span = '1 minute' and type = $1
			   and began_at > clock_timestamp() - interval '5 minutes'`, eventlog.ConnErrorCount).Scan(&state.ConnErrors5m)
		if err != nil {
			return fmt.Errorf("count connection errors: %w", err)
		}
		return nil
	})
	return state, err
}

// LLMState is how calls to language models went, those that were never made for lack of a model left
// out.
type LLMState struct {
	Calls1h, Degraded1h, Errors1h int64
	Calls15m, Failed15m           int64
	LastOK, LastError             *time.Time
	LastReason                    *string
}

// LLMState reads it from the fleet's record.
func (s *Store) LLMState(ctx context.Context) (LLMState, error) {
	var state LLMState
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			with made as (select *, clock_timestamp() - minute as ago from llm_minutes
			               where reason_code <> 'llm_unconfigured' and minute > clock_timestamp() - interval '1 day')
			select coalesce(sum(calls) filter (where ago < '61 minutes'), 0)::bigint,
			       coalesce(sum(calls) filter (where ago < '61 minutes' and reason_code <> ''), 0)::bigint,
			       coalesce(sum(calls) filter (where ago < '61 minutes' and reason_code = 'llm_error'), 0)::bigint,
			       coalesce(sum(calls) filter (where last_at > clock_timestamp() - interval '15 minutes'), 0)::bigint,
			       coalesce(sum(calls) filter (where last_at > clock_timestamp() - interval '15 minutes' and reason_code <> ''), 0)::bigint,
			       max(last_at) filter (where reason_code = ''), max(last_at) filter (where reason_code <> ''),
			       (array_agg(reason_code order by last_at desc) filter (where reason_code <> ''))[1]
			  from made`).
			Scan(&state.Calls1h, &state.Degraded1h, &state.Errors1h, &state.Calls15m, &state.Failed15m,
				&state.LastOK, &state.LastError, &state.LastReason)
		if err != nil {
			return fmt.Errorf("read the record of LLM calls: %w", err)
		}
		return nil
	})
	return state, err
}

// IdempotencyState is the state of the idempotency keys.
type IdempotencyState struct {
	Total     int64 // the planner's figure
	Expired   int64 // awaiting the retention job; counted up to 1,001
	Pending   int64 // requests that hold a key, or keys left without an answer
	OldestAge time.Duration
}

// IdempotencyState reads it.
func (s *Store) IdempotencyState(ctx context.Context) (IdempotencyState, error) {
	var state IdempotencyState
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		var oldest float64
		err := tx.QueryRow(ctx, `
			select (select greatest(reltuples, 0)::bigint from pg_class where oid = 'idempotency_keys'::regclass),
			       (select count(*) from (select from idempotency_keys where expires_at < clock_timestamp() limit 1001) e),
			       o.claims + u.keys, coalesce(extract(epoch from clock_timestamp() - least(o.since, u.since)), 0)::float8
			  from open_key_claims() o,
			       (select count(*) as keys, min(created_at) as since from idempotency_keys where status is null) u`).
			Scan(&state.Total, &state.Expired, &state.Pending, &oldest)
		if err != nil {
			return fmt.Errorf("read the idempotency keys: %w", err)
		}
		state.OldestAge = seconds(oldest)
		return nil
	})
	return state, err
}

// TunesState is the state of the tunes and of those who work them.
type TunesState struct {
	Completed24h, Failed24h int64
	Average                 time.Duration // of the latest 200 that were completed within a day
	OldestWaiting           time.Duration // of the jobs that could be worked now; zero when none waits
	LongestRunning          time.Duration // of the running jobs
	Workers                 int           // heard lately, and working the tunes' queues
	Silent                  int           // not heard lately, nor signed off
	Later                   int           // running tunes of a later engine than any worker's that is heard
}

// tuneQueues are the queues that a tune needs.
var tuneQueues = []string{jobs.QueueTunes, jobs.QueueTrials}

// TunesState reads it.
func (s *Store) TunesState(ctx context.Context) (TunesState, error) {
	var state TunesState
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		var average, waiting, running float64
		err := tx.QueryRow(ctx, `
			select d.completed, d.failed, coalesce(a.seconds, 0)::float8,
			       coalesce(extract(epoch from clock_timestamp() - w.since), 0)::float8,
			       coalesce(extract(epoch from clock_timestamp() - r.since), 0)::float8,
			       b.heard, b.silent, l.later
			  from (select count(*) filter (where status = 'completed') as completed,
			               count(*) filter (where status = 'failed') as failed
			          from tunes where completed_at > clock_timestamp() - interval '1 day') d,
			       (select extract(epoch from avg(completed_at - started_at)) as seconds
			          from (select completed_at, started_at from tunes
			                 where completed_at > clock_timestamp() - interval '1 day' and status = 'completed'
			                 order by completed_at desc limit 200) latest) a,
			       (select min(j.scheduled_at) as since
			          from unnest($1::text[]) q, generate_series(1, 4) p,
			               lateral (select scheduled_at from river_job
			                         where state = 'available' and queue = q and priority = p
			                         order by scheduled_at limit 1) j) w,
			       (select min(attempted_at) as since from river_job where state = 'running' and queue = any ($1)) r,
			       (select count(*) filter (where beat_at > clock_timestamp() - make_interval(secs => $2) and queues ?| $1) as heard,
			               count(*) filter (where beat_at <= clock_timestamp() - make_interval(secs => $2)) as silent
			          from workers) b,
			       (select count(*) as later from tunes t
			         where admitted and status = 'running' and not exists (
			               select from workers w
			                where beat_at > clock_timestamp() - make_interval(secs => $2) and queues ?| $1
			                  and (length(w.engine), w.engine, length(w.semantics), w.semantics)
			                      >= (length(t.engine), t.engine, length(t.semantics), t.semantics))
			           and t.engine is not null) l`, tuneQueues, workers.LeaseSeconds).
			Scan(&state.Completed24h, &state.Failed24h, &average, &waiting, &running, &state.Workers, &state.Silent, &state.Later)
		if err != nil {
			return fmt.Errorf("read the state of tunes: %w", err)
		}
		state.Average, state.OldestWaiting, state.LongestRunning = seconds(average), seconds(waiting), seconds(running)
		return nil
	})
	return state, err
}

// SourceState is how ingestion of one source type went in the past day.
type SourceState struct {
	SourceType          string
	LastOK, LastFailure *time.Time
	Reason              *string // of the last failure
}

// IngestionState is the state of ingestion.
type IngestionState struct {
	Pending int64 // counted up to 10,001
	// Backlog is for how long more than 100 jobs have been pending; zero when there are not so many.
	Backlog time.Duration
	Sources []SourceState
}

// IngestionState reads it.
func (s *Store) IngestionState(ctx context.Context) (IngestionState, error) {
	var state IngestionState
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		var backlog float64
		err := tx.QueryRow(ctx, `
			select (select count(*) from (select from ingest_jobs where status in ('queued', 'running', 'retrying') limit 10001) p),
			       coalesce((select extract(epoch from clock_timestamp() - created_at)::float8 from ingest_jobs
			                  where status in ('queued', 'running', 'retrying') order by created_at offset 100 limit 1), 0)`).
			Scan(&state.Pending, &backlog)
		if err != nil {
			return fmt.Errorf("count pending ingestion jobs: %w", err)
		}
		state.Backlog = seconds(backlog)
		rows, err := tx.Query(ctx, `
			select t.source_type, ok.at, bad.at, bad.reason
			  from unnest(array['article', 'dataset', 'pdf', 'pine', 'text', 'youtube']) t (source_type)
			  left join lateral (select completed_at as at from ingest_jobs j
			                      where j.source_type = t.source_type and j.status = 'completed'
			                      order by completed_at desc limit 1) ok on true
			  left join lateral (select completed_at as at, reason from ingest_jobs j
			                      where j.source_type = t.source_type and j.status = 'failed'
			                        and completed_at > clock_timestamp() - interval '1 day'
			                      order by completed_at desc limit 1) bad on true`)
		if err != nil {
			return fmt.Errorf("read the latest ingestion jobs: %w", err)
		}
		if state.Sources, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SourceState]); err != nil {
			return fmt.Errorf("read the latest ingestion jobs: %w", err)
		}
		return nil
	})
	return state, err
}

// seconds is a time that Postgres gave in seconds. A row of another transaction may be a moment younger
// than the clock that was read: that is none.
func seconds(n float64) time.Duration { return time.Duration(max(0, n) * float64(time.Second)) }
