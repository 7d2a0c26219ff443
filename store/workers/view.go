package workers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// LiveWorker is a worker process whose heartbeat counts.
type LiveWorker struct {
	Worker
	Running   int // jobs that it runs now: what ended since its heartbeat does not count
	StartedAt time.Time
	BeatAt    time.Time
}

// Live lists the worker processes that are alive, the longest-lived first.
func (s *Store) Live(ctx context.Context) ([]LiveWorker, error) {
	rows, err := s.db.Pool().Query(ctx, `
		select w.id, host, pid, version, queues, started_at, beat_at,
		       (select count(*) from river_job j where j.id = any(w.running) and j.state = 'running')
		  from workers w
		 where beat_at > clock_timestamp() - make_interval(secs => $1)
		 order by started_at, id`, LeaseSeconds)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (LiveWorker, error) {
		var w LiveWorker
		var queues []byte
		if err := row.Scan(&w.ID, &w.Host, &w.PID, &w.Version, &queues, &w.StartedAt, &w.BeatAt, &w.Running); err != nil {
			return w, err
		}
		return w, json.Unmarshal(queues, &w.Queues)
	})
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	return all, nil
}

// Running counts the jobs of a workspace that live workers run now. It looks at what they hold, not at the table.
func (s *Store) Running(ctx context.Context, workspace uuid.UUID) (running int, err error) {
	err = s.db.Pool().QueryRow(ctx, `
		select count(*) from workers w join river_job j on j.id = any(w.running)
		 where w.beat_at > clock_timestamp() - make_interval(secs => $1)
		   and j.state = 'running' and j.args ->> 'workspace_id' = $2`, LeaseSeconds, workspace.String()).Scan(&running)
	if err != nil {
		return 0, fmt.Errorf("count running jobs: %w", err)
	}
	return running, nil
}

// FailedJob is a job that was given up.
type FailedJob struct {
	ID        int64
	Kind      string
	State     string
	Attempt   int
	LastError string
	At        time.Time
}

// FailedJobs lists the workspace's jobs that were given up since a time, newest first. The search
// goes by River's index on state and end, so that its cost is that of the failures, not of the table.
func (s *Store) FailedJobs(ctx context.Context, workspace uuid.UUID, since time.Time, limit int) ([]FailedJob, error) {
	return store.ReadAll(ctx, s.db.Pool(), "failed jobs", pgx.RowToStructByName[FailedJob], `
		select id, kind, state::text, attempt, coalesce(errors[cardinality(errors)] ->> 'error', '') as last_error, finalized_at as at
		  from river_job
		 where state = 'discarded' and finalized_at > $1 and args ->> 'workspace_id' = $2
		 order by finalized_at desc limit $3`, since, workspace.String(), limit)
}

// JobLine is a job of something, as River has it.
type JobLine struct {
	ID          int64
	Kind        string
	State       string
	Attempt     int
	LastError   string
	CreatedAt   time.Time
	FinalizedAt *time.Time
}

// Jobs lists the newest of a workspace's jobs that are about something: of names its id in their
// arguments, as tune_id or wfo_id. They are found by River's index of the arguments. Jobs that
// retention has deleted are gone.
func (s *Store) Jobs(ctx context.Context, workspace uuid.UUID, of string, id uuid.UUID, limit int) ([]JobLine, error) {
	about, err := json.Marshal(map[string]uuid.UUID{"workspace_id": workspace, of: id})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return store.ReadAll(ctx, s.db.Pool(), fmt.Sprintf("jobs of %s %s", of, id), pgx.RowToStructByName[JobLine], `
		select id, kind, state::text, attempt, coalesce(errors[cardinality(errors)] ->> 'error', '') as last_error, created_at, finalized_at
		  from river_job
		 where args @> $1::jsonb
		 order by id desc limit $2`, about, limit)
}
