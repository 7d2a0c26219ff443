package walkforward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/ops/routine"
	"millrace/store"
	"millrace/store/workers"
)

// BeginScoring stores the candidates, their parameters one after the other, under the lease of the
// candidates job, and enqueues the scoring of the first folds. ErrEnded when the walk-forward has ended.
func (s *Store) BeginScoring(ctx context.Context, lease store.Lease, id uuid.UUID, candidates []float64) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		wfo, err := readWFO(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := wfo.running(); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update wfo_runs set candidates = $2 where id = $1`, id, append([]float64{}, candidates...))
		if err != nil {
			return fmt.Errorf("save candidates of walk-forward %s: %w", id, err)
		}
		batch := &pgx.Batch{}
		queueScores(batch, lease.JobID, id)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("enqueue scores of walk-forward %s: %w", id, err)
		}
		return nil
	})
}

// queueScores gives the next folds a score job each, as many as keep the fleet's trial slots busy, or after the last one
// inserts the collect job. Jobs are inserted as River inserts them, see TestScoresInsertJobsAsRiverDoes, and have the origin of
// the asking job.
func queueScores(batch *pgx.Batch, own int64, wfo uuid.UUID) {
	score, collect := jobs.WFOScoreArgs{}, jobs.WFOCollectArgs{}
	scoreOpts, collectOpts := score.InsertOpts(), collect.InsertOpts()
	batch.Queue(`
		with at as materialized (
			select r.workspace_id, p.scores_done >= p.folds_done - p.folds_failed as scored
			  from wfo_runs r join wfo_progress p on p.wfo_id = r.id where r.id = $1),
		origin as materialized (
			select jsonb_strip_nulls(jsonb_build_object('traceparent', metadata -> 'traceparent', 'request_id', metadata -> 'request_id')) as metadata
			  from river_job where id = $2),
		room as materialized (
			select greatest(fleet_slots($5, make_interval(secs => $3)), 1) + 1
			       - (select count(*) from wfo_folds where wfo_id = $1 and score_job_id is not null and not scored) as folds),
		next as materialized (
			select fold from wfo_folds where wfo_id = $1 and status = 'completed' and score_job_id is null
			 order by fold limit greatest(0, (select folds from room))),
		scores as (
			insert into river_job (kind, args, queue, max_attempts, priority, state, metadata)
			select $4, jsonb_build_object('workspace_id', at.workspace_id, 'wfo_id', $1::uuid, 'fold', next.fold), $5, $6, $7, 'available',
			       coalesce((select metadata from origin), '{}')
			  from at, next where not at.scored order by next.fold
			returning id, (args ->> 'fold')::int as fold, queue),
		assigned as (
			update wfo_folds f set score_job_id = s.id from scores s where f.wfo_id = $1 and f.fold = s.fold),
		collecting as (
			insert into river_job (kind, args, queue, max_attempts, priority, state, metadata)
			select $8, jsonb_build_object('workspace_id', at.workspace_id, 'wfo_id', $1::uuid), $9, $10, $11, 'available',
			       coalesce((select metadata from origin), '{}')
			  from at where at.scored
			returning id, queue),
		noted as (update wfo_runs r set collect_job_id = c.id from collecting c where r.id = $1)
		select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
		  from (select queue from scores union select queue from collecting) q`,
		wfo, own, workers.LeaseSeconds,
		score.Kind(), scoreOpts.Queue, scoreOpts.MaxAttempts, scoreOpts.Priority,
		collect.Kind(), collectOpts.Queue, collectOpts.MaxAttempts, max(collectOpts.Priority, 1))
}

// Work is what the judging steps of a walk-forward need to begin.
type Work struct {
	WFO        *Run
	Folds      []Fold
	Candidates []float64        // parameters, one candidate after the other
	Stamps     []backtest.Stamp // of the folds that came through, each once
}

// Work reads it in one round trip, or ErrNotFound.
func (s *Store) Work(ctx context.Context, workspace, id uuid.UUID) (Work, error) {
	return s.readWork(ctx, workspace, id, foldsQuery, id)
}

// ScoreWork is Work to score a fold: of the folds it has that one and the next successful one, if there is any. A hundred folds
// are scored, and each that reads all of them reads ten thousand.
func (s *Store) ScoreWork(ctx context.Context, workspace, id uuid.UUID, fold int) (Work, error) {
	work, err := s.readWork(ctx, workspace, id, scoreFoldsQuery, id, fold)
	if err == nil && (len(work.Folds) == 0 || work.Folds[0].Index != fold) {
		err = fmt.Errorf("fold %d of walk-forward %s: %w", fold, id, store.ErrNotFound)
	}
	return work, err
}

const scoreFoldsQuery = `
	select ` + foldColumns + ` from wfo_folds
	 where wfo_id = $1
	   and fold in ($2, (select min(fold) from wfo_folds where wfo_id = $1 and fold > $2 and status = 'completed'))
	 order by fold`

func (s *Store) readWork(ctx context.Context, workspace, id uuid.UUID, foldsQuery string, args ...any) (Work, error) {
	var work Work
	err := s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) {
		queueWFO(batch, workspace, id, &work.WFO)
		batch.Queue(foldsQuery, args...).Query(func(rows pgx.Rows) (err error) {
			work.Folds, err = pgx.CollectRows(rows, scanFold)
			return err
		})
		batch.Queue(foldStampsQuery, id).Query(func(rows pgx.Rows) (err error) {
			work.Stamps, err = pgx.CollectRows(rows, pgx.RowToStructByPos[backtest.Stamp])
			return err
		})
		batch.Queue(`select coalesce(candidates, '{}') from wfo_runs where id = $1`, id).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&work.Candidates}, func() error { return nil })
			return err
		})
	})
	if err != nil {
		return work, fmt.Errorf("read walk-forward %s: %w", id, err)
	}
	if work.WFO == nil {
		return work, fmt.Errorf("walk-forward %s: %w", id, store.ErrNotFound)
	}
	return work, nil
}

// FinishScore stores how the candidates did on one fold's test window, once, under its lease; enqueues
// the next; and after the last one inserts the collect job. The result of a walk-forward that
// has ended is dropped: ErrEnded.
func (s *Store) FinishScore(ctx context.Context, lease store.Lease, id uuid.UUID, fold int, scores []float64, stretch sweep.Stretch) error {
	part, err := json.Marshal(stretch)
	if err != nil {
		return fmt.Errorf("encode stretch of fold %d: %w", fold, err)
	}
	err = s.db.PipelineUnderLease(ctx, lease, id, func(batch *pgx.Batch) {
		batch.Queue(`
			with run as materialized (select status from wfo_runs where id = $1),
			saved as (
				update wfo_folds set scored = true, scores = $4, stretch = $5
				 where wfo_id = $1 and fold = $2 and score_job_id = $3 and not scored and exists (select from run where status = 'running')
				returning fold),
			counted as (update wfo_progress set scores_done = scores_done + 1 where wfo_id = $1 and exists (select from saved))
			select case when exists (select from run where status = 'running') then refuse_fenced('fold ' || $2::int)
			            else refuse_stopped('walk-forward ' || $1::uuid) end
			 where not exists (select from saved)`, id, fold, lease.JobID, append([]float64{}, scores...), part)
		batch.Queue(`
			insert into event_log (workspace_id, topic, type, entity_id, payload)
			select r.workspace_id, 'wfo', 'wfo.run.progress', r.id::text, `+wfoPayload+`
			  from wfo_progress a join wfo_runs r on r.id = a.wfo_id, `+wfoCounts+`
			 where a.wfo_id = $1 and a.scores_done >= a.folds_done - a.folds_failed`, id)
		queueScores(batch, lease.JobID, id)
		store.QueueCompletion(batch, lease)
	})
	if err != nil {
		return fmt.Errorf("save scores of fold %d of %s: %w", fold, id, err)
	}
	return nil
}

// FoldResults reads what the successful folds of a walk-forward found, in order, with the winners'
// entries. Top is left to the caller, which knows the length of a parameter set.
func (s *Store) FoldResults(ctx context.Context, workspace, id uuid.UUID) ([]sweep.FoldResult, error) {
	var stored []storedFold
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		stored, err = store.ReadAll(ctx, tx, "results of walk-forward "+id.String(), scanStoredFold, `
			select f.fold, f.train_start, f.train_end, f.test_end, f.train_bars, f.test_bars, f.scores, f.stretch, l.entry
			  from wfo_folds f left join tune_leaderboard l on l.tune_id = f.tune_id and l.rank = 1
			 where f.wfo_id = $1 and f.status = 'completed' order by f.fold`, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	results := make([]sweep.FoldResult, len(stored))
	var beside routine.Group // nothing else of the walk-forward is left to run
	beside.Limit(runtime.GOMAXPROCS(0))
	for i := range stored {
		beside.Run(func() (err error) {
			results[i], err = stored[i].decode()
			return err
		})
	}
	return results, beside.Wait()
}

// storedFold is a fold's result as it is stored.
type storedFold struct {
	result         sweep.FoldResult
	stretch, entry []byte
}

func scanStoredFold(row pgx.CollectableRow) (s storedFold, err error) {
	f := &s.result.Fold
	err = row.Scan(&f.Index, &f.TrainStart, &f.TrainEnd, &f.TestEnd, &f.TrainBars, &f.TestBars, &s.result.Scores, &s.stretch, &s.entry)
	return s, err
}

func (s *storedFold) decode() (r sweep.FoldResult, err error) {
	r = s.result
	if s.stretch == nil {
		return r, fmt.Errorf("fold %d has not been scored", r.Fold.Index)
	}
	if s.entry != nil {
		r.Winner = &sweep.Entry{}
		err = json.Unmarshal(s.entry, r.Winner)
	}
	return r, errors.Join(err, json.Unmarshal(s.stretch, &r.Stretch))
}
