package workers

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// expectedJobs are the jobs that the active work of all workspaces waits for: by whose work it is,
// the River job that is to carry it on, and what that job has to be. Work that no step waits for is
// listed with the job of its first step and as adrift. The rows and the jobs change in the same
// transactions, so in one snapshot a job that is not live is one that was lost.
const expectedJobs = `
	select 'tune' as what, t.id, t.workspace_id, t.plan_job_id as job, 'tune.plan' as kind, case when t.wfo_id is null then 'tunes' else 'trials' end as queue, 2 as priority,
	       jsonb_build_object('workspace_id', t.workspace_id, 'tune_id', t.id)
	       || case when t.wfo_id is null then '{}' else '{"own": true}' end::jsonb as args, t.admitted as released, false as adrift
	  from tunes t where t.status = 'queued'
	union all
	select 'tune', t.id, t.workspace_id, s.job_id, 'tune.shard', 'trials', 2,
	       jsonb_build_object('workspace_id', t.workspace_id, 'tune_id', t.id, 'shard', s.shard), true, false
	  from tunes t join tune_shards s on s.tune_id = t.id
	 where t.status = 'running' and s.job_id is not null and not s.done
	union all
	select 'tune', t.id, t.workspace_id, p.collect_job_id, next.kind, 'tunes', next.priority,
	       jsonb_build_object('workspace_id', t.workspace_id, 'tune_id', t.id) || next.args, true, false
	  from tunes t join tune_progress p on p.tune_id = t.id,
	       lateral (select 'tune.advance' as kind, 1 as priority, jsonb_build_object('round', p.round + 1) as args
	                 where p.round + 1 < p.rounds
	                union all
	                select 'tune.collect', 2, '{}' where p.round + 1 >= p.rounds) next
	 where t.status = 'running' and p.shards_done = p.shards
	union all
	select 'tune', t.id, t.workspace_id, t.plan_job_id, 'tune.plan', 'tunes', 2,
	       jsonb_build_object('workspace_id', t.workspace_id, 'tune_id', t.id), true, true
	  from tunes t join tune_progress p on p.tune_id = t.id
	 where t.status = 'running' and p.shards_done < p.shards
	   and not exists (select from tune_shards s where s.tune_id = t.id and s.job_id is not null and not s.done)
	union all
	select 'wfo', r.id, r.workspace_id, r.candidates_job_id, 'wfo.candidates', 'wfo', 1,
	       jsonb_build_object('workspace_id', r.workspace_id, 'wfo_id', r.id), true, false
	  from wfo_runs r join wfo_progress p on p.wfo_id = r.id
	 where r.status = 'running' and p.folds_done = r.n_folds and r.candidates is null
	union all
	select 'wfo', r.id, r.workspace_id, f.score_job_id, 'wfo.score', 'trials', 2,
	       jsonb_build_object('workspace_id', r.workspace_id, 'wfo_id', r.id, 'fold', f.fold), true, false
	  from wfo_runs r join wfo_folds f on f.wfo_id = r.id
	 where r.status = 'running' and f.score_job_id is not null and not f.scored
	union all
	select 'wfo', r.id, r.workspace_id, r.collect_job_id, 'wfo.collect', 'wfo', 1,
	       jsonb_build_object('workspace_id', r.workspace_id, 'wfo_id', r.id), true, false
	  from wfo_runs r where r.status = 'running' and r.collect_job_id is not null
	union all
	select 'wfo', r.id, r.workspace_id, r.candidates_job_id, 'wfo.candidates', 'wfo', 1,
	       jsonb_build_object('workspace_id', r.workspace_id, 'wfo_id', r.id), true, true
	  from wfo_runs r join wfo_progress p on p.wfo_id = r.id
	 where r.status in ('pending', 'running') and r.admitted and r.collect_job_id is null
	   and (p.folds_done < r.n_folds
	        and not exists (select from tunes t where t.wfo_id = r.id and t.status in ('queued', 'running'))
	        or r.candidates is not null
	        and not exists (select from wfo_folds f where f.wfo_id = r.id and f.score_job_id is not null and not f.scored))
	union all
	select 'ingestion', i.id, i.workspace_id, i.river_job_id, 'ingest.source', 'ingestion', 1,
	       jsonb_build_object('workspace_id', i.workspace_id, 'ingest_id', i.id), true, false
	  from ingest_jobs i where i.status in ('queued', 'running', 'retrying')
	union all
	select 'reembed', e.id, e.workspace_id, e.river_job_id, 'ingest.reembed', 'ingestion', 3,
	       jsonb_build_object('workspace_id', e.workspace_id, 'reembed_id', e.id), true, false
	  from reembeds e where e.status in ('queued', 'running')
	union all
	select 'strategy', s.id, s.workspace_id, s.check_job_id, 'strategy.check', 'trials', 1,
	       jsonb_build_object('workspace_id', s.workspace_id, 'strategy_id', s.id), true, false
	  from strategies s where s.status = 'checking'
	union all
	select 'deletion', d.id, d.workspace_id, d.river_job_id, 'delete', 'retention', 2,
	       jsonb_build_object('workspace_id', d.workspace_id, 'deletion_id', d.id), true, false
	  from deletions d where d.status in ('queued', 'running')
	union all
	select 'deletion', d.id, null, d.river_job_id, 'workspace.delete', 'retention', 1,
	       jsonb_build_object('deleted_workspace', d.id), true, false
	  from workspace_deletions d where d.status in ('queued', 'running')
	union all
	select 'schedule', s.id, s.workspace_id, s.job_id, 'schedule.fire', 'tunes', 1,
	       jsonb_build_object('workspace_id', s.workspace_id, 'schedule_id', s.id), true, false
	  from schedules s where s.job_id is not null
	union all
	select 'schedule', x.id, x.workspace_id, x.job_id, 'schedule.submit', 'tunes', 2,
	       jsonb_build_object('workspace_id', x.workspace_id, 'slot_id', x.id), true, false
	  from schedule_slots x where x.state = 'due'
	union all
	select 'schedule', x.id, x.workspace_id, x.job_id, 'schedule.compare', 'tunes', 2,
	       jsonb_build_object('workspace_id', x.workspace_id, 'slot_id', x.id), true, false
	  from schedule_slots x
	 where x.state = 'running'
	   and not exists (select from tunes t where t.id = x.entity_id and t.status in ('queued', 'running'))
	   and not exists (select from wfo_runs r where r.id = x.entity_id and r.status in ('pending', 'running'))
	   and not exists (select from ingest_jobs i where i.id = x.entity_id and i.status in ('queued', 'running', 'retrying'))`

// lostJobs are those of them that nobody will ever work.
const lostJobs = `
	select e.*, j.id is null as deleted, coalesce((j.metadata ->> 'reconciled')::int, 0) as times
	  from (` + expectedJobs + `) e
	  left join river_job j on j.id = e.job
	 where (e.workspace_id is null or exists (select from workspaces w where w.id = e.workspace_id)) -- and is not being deleted
	   and (e.adrift and (j.id is null or j.state in ('completed', 'discarded', 'cancelled', 'pending'))
	        or not e.adrift and (j.id is null or j.state in ('completed', 'discarded', 'cancelled')
	                             or j.state = 'pending' and e.released))`

// TakesUp reports whether Reconcile takes up work whose job of that kind was lost.
func TakesUp(kind string) bool { return strings.Contains(expectedJobs, "'"+kind+"'") }

// endedPlans are run plans that are running though the tunes of all their variants have ended.
const endedPlans = `
	select p.id, p.workspace_id, p.variants, v.completed, v.failed
	  from run_plans p,
	       lateral (select count(*) filter (where t.status = 'completed') as completed,
	                       count(*) filter (where t.status = 'failed') as failed,
	                       count(*) filter (where t.status in ('queued', 'running')) as open
	                  from run_plan_variants v join tunes t on t.id = v.tune_id where v.run_plan_id = p.id) v
	 where p.status = 'running' and v.open = 0 and exists (select from workspaces w where w.id = p.workspace_id)`

// LostWork is a piece of work that is active though no job will carry it on.
type LostWork struct {
	What string // tune, wfo, ingestion, reembed, strategy, schedule, deletion or run_plan
	ID   uuid.UUID
}

// LostWork lists it, at most limit of it; the reconciler takes it up, see Reconcile.
func (s *Store) LostWork(ctx context.Context, limit int) ([]LostWork, error) {
	var lost []LostWork
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select what, id from (`+lostJobs+`) l
			union select 'run_plan', id from (`+endedPlans+`) p
			order by 1, 2 limit $1`, limit)
		if err != nil {
			return fmt.Errorf("look for work without a job: %w", err)
		}
		if lost, err = pgx.CollectRows(rows, pgx.RowToStructByPos[LostWork]); err != nil {
			return fmt.Errorf("look for work without a job: %w", err)
		}
		return nil
	})
	return lost, err
}

// Reconciled is lost work that was taken up: its job runs again, or runs once more to fail it.
type Reconciled struct {
	LostWork
	JobID  int64 // 0: a run plan, which has none
	Kind   string
	Failed bool // it is failed with its reason instead of resumed
}

const (
	// mostResumes is how often lost work is resumed before it is failed.
	mostResumes = 3
	// resumedAttempts is how many attempts a resumed job has.
	resumedAttempts = 3
	// reconcileLock has one process of the fleet reconcile at a time.
	reconcileLock = `hashtextextended('millrace reconcile', 0)`
)

// Reconcile takes up work that is active though its job was discarded, cancelled or deleted: the same
// job is made available again, or inserted again under its number, and after some times it is made to fail
// the work with its reason, see attempt.Worker. A run plan whose variants have all ended ends.
func (s *Store) Reconcile(ctx context.Context) ([]Reconciled, error) {
	var done []Reconciled
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			with mine as materialized (select pg_try_advisory_xact_lock(`+reconcileLock+`) as ok),
			lost as materialized (
				select l.*, l.adrift or l.times >= $1 as fails from mine, lateral (`+lostJobs+`) l where mine.ok limit 1000),
			revived as (
				update river_job j
				   set state = 'available', finalized_at = null, scheduled_at = clock_timestamp(),
				       max_attempts = case when l.fails then greatest(j.attempt, 1) else least(j.attempt + $2, 32767) end,
				       attempt = case when l.fails then greatest(j.attempt, 1) else j.attempt end,
				       metadata = (j.metadata - 'cancel_attempted_at') || jsonb_build_object('reconciled', l.times + 1),
				       errors = case when l.adrift then array_append(j.errors, jsonb_build_object(
				                         'at', clock_timestamp(), 'attempt', j.attempt, 'trace', '', 'error', 'no step of it was queued'))
				                     else j.errors end
				  from lost l where j.id = l.job
				   and j.state in ('completed', 'discarded', 'cancelled', 'pending') -- unless it was retried meanwhile
				returning l.what, l.id, j.id as job, j.kind, l.fails, j.queue),
			remade as (
				insert into river_job (id, kind, args, queue, priority, state, attempt, max_attempts, metadata, errors)
				select job, kind, args, queue, priority, 'available', case when fails then 1 else 0 end,
				       case when fails then 1 else $2 end, jsonb_build_object('reconciled', times + 1),
				       case when fails then array[jsonb_build_object('at', clock_timestamp(), 'attempt', 1, 'trace', '',
				                                                     'error', 'no step of it was queued')] end
				  from lost where deleted and job is not null
				on conflict do nothing
				returning id as job, kind, queue, max_attempts = 1 as fails),
			done as (
				select what, id, job, kind, fails, queue from revived
				union all
				select l.what, l.id, r.job, r.kind, r.fails, r.queue from remade r join lost l on l.job = r.job),
			woken as materialized (
				select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
				  from (select distinct queue from done) q)
			select what, id, job, kind, fails from done left join (select count(*) from woken) w on true`,
			mostResumes, resumedAttempts)
		if err != nil {
			return fmt.Errorf("reconcile: %w", err)
		}
		if done, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Reconciled]); err != nil {
			return fmt.Errorf("reconcile: %w", err)
		}
		plans, err := reconcilePlans(ctx, tx)
		done = append(done, plans...)
		return err
	})
	return done, err
}

// reconcilePlans ends run plans by the tunes of their variants.
func reconcilePlans(ctx context.Context, tx pgx.Tx) ([]Reconciled, error) {
	rows, err := tx.Query(ctx, `
		with ended as (
			update run_plans p
			   set variants_done = e.variants, variants_failed = e.variants - e.completed, completed_at = clock_timestamp(),
			       status = case when e.completed = e.variants then 'completed' when e.completed > 0 then 'partial'
			                     when e.failed > 0 then 'failed' else 'canceled' end
			  from (`+endedPlans+`) e where p.id = e.id and p.status = 'running'
			returning p.id, p.workspace_id, p.status, p.variants, p.variants_done, p.variants_failed, p.pinned),
		crumbs as (
			insert into trade_events (id, workspace_id, run_plan_id, event_type, pinned, payload)
			select gen_random_uuid(), workspace_id, id, 'RUN_' || upper(status), pinned,
			       jsonb_build_object('status', status, 'n_variants', variants, 'variants_done', variants_done, 'variants_failed', variants_failed)
			  from ended),
		recorded as (
			insert into event_log (workspace_id, topic, type, entity_id, payload)
			select workspace_id, 'backtests', 'backtest.run_plan.' || status, id::text,
			       jsonb_build_object('status', status, 'n_variants', variants, 'variants_done', variants_done, 'variants_failed', variants_failed)
			  from ended)
		select 'run_plan', id, 0::bigint, '', status <> 'completed' from ended`)
	if err != nil {
		return nil, fmt.Errorf("reconcile run plans: %w", err)
	}
	plans, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Reconciled])
	if err != nil {
		return nil, fmt.Errorf("reconcile run plans: %w", err)
	}
	return plans, nil
}
