package schedules

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Delete deletes a schedule and its history. What it has submitted continues.
func (s *Store) Delete(ctx context.Context, workspace, id uuid.UUID) error {
	return s.db.Change(ctx, workspace, func(tx *store.Tx) error {
		if err := store.Lock(ctx, tx, id); err != nil {
			return err
		}
		gone, err := read(ctx, tx, workspace, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from schedules where id = $1`, id); err != nil {
			return fmt.Errorf("delete schedule %s: %w", id, err)
		}
		store.AuditEntityOf(ctx, "schedule", id.String())
		store.AuditChange(ctx, gone.summary(), nil)
		if gone.JobID != nil {
			if _, err := s.db.River().JobCancelTx(ctx, tx, *gone.JobID); err != nil {
				return fmt.Errorf("cancel job %d: %w", *gone.JobID, err)
			}
		}
		return nil
	})
}

// Naming selects, as kind, id, name and status, the schedules of workspace $1 that cannot run without the datasets with
// the ids $2: they name one by its id or as NAME@N, or one by the name that no other version keeps.
const Naming = `
	select 'schedule' as kind, s.id, s.name, '' as status from schedules s
	 where s.workspace_id = $1 and exists (
		select from (
			select nullif(s.series, '') as named
			union all
			select s.request ->> field from unnest(array['dataset', 'intrabar_dataset']) field where s.kind in ('tune', 'wfo')
			union all
			select json_array_elements_text(case when s.kind = 'tune' and json_typeof(s.request -> 'datasets') = 'array' then s.request -> 'datasets' else '[]' end)) n,
			lateral (select from datasets d
			          where d.workspace_id = $1 and d.id = any($2)
			            and (d.id::text = lower(n.named) or coalesce(d.series, d.name) || '@' || d.version = n.named
			                 or coalesce(d.series, d.name) = n.named and not exists (
			                     select from datasets other
			                      where other.workspace_id = $1 and coalesce(other.series, other.name) = n.named and other.id <> all($2)))
			          limit 1) gone)`

// Using selects, as kind, id, name and status, the schedules of workspace $1 that cannot run without the script with the id
// $2: they name its version, or the script where no other version of it is left. $3 is what names of scripts begin with.
const Using = `
	select 'schedule' as kind, s.id, s.name, '' as status
	  from strategies gone, schedules s, lateral (select substr(s.request ->> 'strategy_name', length($3::text) + 1) as named) n
	 where gone.workspace_id = $1 and gone.id = $2 and s.workspace_id = $1 and s.kind in ('tune', 'wfo')
	   and starts_with(s.request ->> 'strategy_name', $3)
	   and (n.named in (gone.id::text, gone.id::text || '@' || gone.version, gone.name || '@' || gone.version)
	        or n.named = gone.name and not exists (
	            select from strategies other
	             where other.workspace_id = $1 and other.name = gone.name and other.id <> gone.id and other.erased_at is null))
	 order by s.name`

// Remove deletes schedules and their histories. What they have submitted continues.
func (s *Store) Remove(ctx context.Context, tx *store.Tx, workspace uuid.UUID, ids []uuid.UUID) error {
	if err := store.LockAll(ctx, tx, ids); err != nil {
		return err
	}
	waiting, err := store.ReadAll(ctx, tx, "jobs of schedules", pgx.RowTo[int64], `
		with gone as (delete from schedules where workspace_id = $1 and id = any($2) returning job_id)
		select job_id from gone where job_id is not null order by job_id`, workspace, ids)
	if err != nil {
		return err
	}
	for _, job := range waiting {
		if _, err := s.db.River().JobCancelTx(ctx, tx, job); err != nil {
			return fmt.Errorf("cancel job %d: %w", job, err)
		}
	}
	return nil
}

// Hide has schedules wait for nothing, and nothing but a deletion see them: the rows go in its job. It takes no lock of
// theirs, which what submits their work holds while it waits for a dataset that the deletion holds: a step that
// runs meanwhile finds its schedule gone.
func Hide(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, ids []uuid.UUID) (hidden int, err error) {
	err = tx.QueryRow(ctx, `
		with gone as (select id, job_id from schedules where workspace_id = $1 and id = any($2) and deleted_at is null order by id for update),
		     hidden as (
			update schedules s
			   set deleted_at = clock_timestamp(), name = 'deleted ' || s.id, series = case when s.series <> '' then 'deleted ' || s.id else '' end,
			       paused = true, next_at = null, job_id = null, failures = 0
			  from gone where s.id = gone.id returning s.id),
		     ended as (
			update schedule_slots set state = 'canceled', reason = 'the schedule was deleted', ended_at = clock_timestamp()
			 where schedule_id in (select id from gone) and state in ('due', 'running') returning job_id),
		     canceled as (
			update river_job set state = 'cancelled', finalized_at = clock_timestamp()
			 where id in (select job_id from gone union select job_id from ended) and state in ('available', 'pending', 'retryable', 'scheduled'))
		select count(*) from hidden`, workspace, ids).Scan(&hidden)
	if err != nil {
		return 0, fmt.Errorf("hide schedules: %w", err)
	}
	return hidden, nil
}
