package walkforward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/workers"
)

// candidatesKept is how many candidates of a walk-forward are kept, best first.
const candidatesKept = manifest.CandidatesKept

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
		return s.enqueueScores(ctx, tx, wfo)
	})
}

// enqueueScores gives the next folds a score job each, as many as keep the fleet's trial slots busy.
func (s *Store) enqueueScores(ctx context.Context, tx pgx.Tx, wfo *Run) error {
	slots, err := workers.Slots(ctx, tx, jobs.QueueTrials)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		select fold from wfo_folds where wfo_id = $1 and status = 'completed' and score_job_id is null
		 order by fold
		 limit greatest(0, $2 - (select count(*) from wfo_folds where wfo_id = $1 and score_job_id is not null and not scored))`,
		wfo.ID, max(slots, 1)+1)
	if err != nil {
		return fmt.Errorf("find folds to score of %s: %w", wfo.ID, err)
	}
	folds, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil || len(folds) == 0 {
		return err
	}
	params := make([]river.InsertManyParams, len(folds))
	for i, fold := range folds {
		params[i].Args = jobs.WFOScoreArgs{WorkspaceID: wfo.WorkspaceID, WFOID: wfo.ID, Fold: int(fold)}
	}
	inserted, err := s.db.River().InsertManyTx(ctx, tx, params)
	if err != nil {
		return fmt.Errorf("insert score jobs: %w", err)
	}
	ids := make([]int64, len(inserted))
	for i, job := range inserted {
		ids[i] = job.Job.ID
	}
	_, err = tx.Exec(ctx, `
		update wfo_folds f set score_job_id = j.id
		  from unnest($2::int[], $3::bigint[]) j (fold, id)
		 where f.wfo_id = $1 and f.fold = j.fold`, wfo.ID, folds, ids)
	if err != nil {
		return fmt.Errorf("assign score jobs: %w", err)
	}
	return nil
}

// Work is what the judging steps of a walk-forward need to begin.
type Work struct {
	WFO        *Run
	Folds      []Fold
	Candidates []float64        // parameters, one candidate after the other
	Stamps     []backtest.Stamp // of the folds that came through, each once
}

// Work reads it, or ErrNotFound.
func (s *Store) Work(ctx context.Context, workspace, id uuid.UUID) (Work, error) {
	var work Work
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		if work.WFO, err = readWFO(ctx, tx, workspace, id); err != nil {
			return err
		}
		if work.Folds, err = readFolds(ctx, tx, id); err != nil {
			return err
		}
		if work.Stamps, err = foldStamps(ctx, tx, id); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `select coalesce(candidates, '{}') from wfo_runs where id = $1`, id).Scan(&work.Candidates)
		if err != nil {
			return fmt.Errorf("read candidates of walk-forward %s: %w", id, err)
		}
		return nil
	})
	return work, err
}

// FinishScore stores how the candidates did on one fold's test window, once, under its lease; enqueues
// the next; and after the last one inserts the collect job. The result of a walk-forward that
// has ended is dropped: ErrEnded.
func (s *Store) FinishScore(ctx context.Context, lease store.Lease, id uuid.UUID, fold int, scores []float64, stretch sweep.Stretch) error {
	part, err := json.Marshal(stretch)
	if err != nil {
		return fmt.Errorf("encode stretch of fold %d: %w", fold, err)
	}
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		wfo, err := readWFO(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := wfo.running(); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			update wfo_folds set scored = true, scores = $4, stretch = $5
			 where wfo_id = $1 and fold = $2 and score_job_id = $3 and not scored`,
			id, fold, lease.JobID, append([]float64{}, scores...), part)
		if err != nil {
			return fmt.Errorf("save scores of fold %d of %s: %w", fold, id, err)
		}
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("fold %d of %s belongs to another job: %w", fold, id, store.ErrFenced)
		}
		err = tx.QueryRow(ctx, `
			update wfo_progress set scores_done = scores_done + 1 where wfo_id = $1 returning scores_done`, id).Scan(&wfo.ScoresDone)
		if err != nil {
			return fmt.Errorf("count scores of %s: %w", id, err)
		}
		if wfo.ScoresDone < wfo.FoldsDone-wfo.FoldsFailed {
			return s.enqueueScores(ctx, tx, wfo)
		}
		if err := appendWFOEvent(ctx, tx, wfo, "progress"); err != nil {
			return err
		}
		job, err := s.db.River().InsertTx(ctx, tx, jobs.WFOCollectArgs{WorkspaceID: wfo.WorkspaceID, WFOID: wfo.ID}, nil)
		if err != nil {
			return fmt.Errorf("insert collect job: %w", err)
		}
		_, err = tx.Exec(ctx, `update wfo_runs set collect_job_id = $2 where id = $1`, id, job.Job.ID)
		if err != nil {
			return fmt.Errorf("note collect job: %w", err)
		}
		return nil
	})
}

// FoldResults reads what the successful folds of a walk-forward found, in order, with the winners'
// entries. Top is left to the caller, which knows the length of a parameter set.
func (s *Store) FoldResults(ctx context.Context, workspace, id uuid.UUID) ([]sweep.FoldResult, error) {
	var results []sweep.FoldResult
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select f.fold, f.train_start, f.train_end, f.test_end, f.train_bars, f.test_bars, f.scores, f.stretch, l.entry
			  from wfo_folds f left join tune_leaderboard l on l.tune_id = f.tune_id and l.rank = 1
			 where f.wfo_id = $1 and f.status = 'completed' order by f.fold`, id)
		if err != nil {
			return fmt.Errorf("read results of walk-forward %s: %w", id, err)
		}
		if results, err = pgx.CollectRows(rows, scanFoldResult); err != nil {
			return fmt.Errorf("read results of walk-forward %s: %w", id, err)
		}
		return nil
	})
	return results, err
}

func scanFoldResult(row pgx.CollectableRow) (r sweep.FoldResult, err error) {
	var stretch, entry []byte
	f := &r.Fold
	err = row.Scan(&f.Index, &f.TrainStart, &f.TrainEnd, &f.TestEnd, &f.TrainBars, &f.TestBars, &r.Scores, &stretch, &entry)
	if err != nil {
		return r, err
	}
	if stretch == nil {
		return r, fmt.Errorf("fold %d has not been scored", f.Index)
	}
	if entry != nil {
		r.Winner = &sweep.Entry{}
		err = json.Unmarshal(entry, r.Winner)
	}
	return r, errors.Join(err, json.Unmarshal(stretch, &r.Stretch))
}

// Complete stores what the collect step found, under its lease, and ends the walk-forward:
// partial when a fold failed. ErrEnded when it had ended before.
func (s *Store) Complete(ctx context.Context, lease store.Lease, id uuid.UUID, found *sweep.WFOOutcome) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		wfo, err := readWFO(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := wfo.running(); err != nil {
			return err
		}
		outcome, err := json.Marshal(found)
		if err != nil {
			return fmt.Errorf("encode outcome: %w", err)
		}
		evidence, err := json.Marshal(found.Evidence)
		if err != nil {
			return fmt.Errorf("encode evidence: %w", err)
		}
		_, err = tx.Exec(ctx, `
			update wfo_runs set outcome = $2, curve_bars = $3, curve_equity = $4, warnings = $5, evidence = $6, candidates = null,
			                    curve_parts = $7, together_at = $8, together_equity = $9 where id = $1`,
			id, outcome, found.Curve.Bars, found.Curve.Equity, append(append([]string{}, wfo.Warnings...), found.Warnings...), evidence,
			found.Curve.Parts, found.Curve.At, found.Curve.Together)
		if err != nil {
			return fmt.Errorf("save outcome of walk-forward %s: %w", id, err)
		}
		_, err = tx.Exec(ctx, `update wfo_folds set scores = null, stretch = null, top = null where wfo_id = $1`, id)
		if err != nil {
			return fmt.Errorf("drop working figures of walk-forward %s: %w", id, err)
		}
		if err := insertCandidates(ctx, tx, wfo, found.Ranked); err != nil {
			return err
		}
		if err := s.saveManifest(ctx, tx, wfo, found); err != nil {
			return err
		}
		status := Completed
		if wfo.FoldsFailed > 0 {
			status = Partial
		}
		return s.end(ctx, tx, wfo, status, "", lease.JobID)
	})
}

func insertCandidates(ctx context.Context, tx pgx.Tx, wfo *Run, ranked []sweep.Candidate) error {
	ranked = ranked[:min(candidatesKept, len(ranked))]
	bodies := make([]string, len(ranked))
	for i, c := range ranked {
		body, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode candidate: %w", err)
		}
		bodies[i] = string(body)
	}
	_, err := tx.Exec(ctx, `
		insert into wfo_candidates (wfo_id, rank, workspace_id, entry)
		select $1, ord, $2, e::json from unnest($3::text[]) with ordinality as u (e, ord)`, wfo.ID, wfo.WorkspaceID, bodies)
	if err != nil {
		return fmt.Errorf("insert candidates of walk-forward %s: %w", wfo.ID, err)
	}
	return nil
}
