package walkforward

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/market"
)

// Complete stores what the collect step found, under its lease, and ends the walk-forward:
// partial when a fold failed. ErrEnded when it had ended before. What is stored is made before the lock is taken, and sent at
// once.
func (s *Store) Complete(ctx context.Context, lease store.Lease, id uuid.UUID, found *sweep.WFOOutcome) error {
	end, err := s.newEnd(ctx, lease.Workspace, id, found)
	if err != nil {
		return err
	}
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		wfo, err := readWFO(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := wfo.running(); err != nil {
			return err
		}
		stamps, err := foldStamps(ctx, tx, id)
		if err != nil {
			return err
		}
		if !slices.Equal(stamps, end.stamps) {
			return fmt.Errorf("folds of walk-forward %s were run again: %w", id, store.ErrFenced)
		}
		batch := &pgx.Batch{}
		end.queue(batch, wfo)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("save outcome of walk-forward %s: %w", id, err)
		}
		status := Completed
		if wfo.FoldsFailed > 0 {
			status = Partial
		}
		return s.end(ctx, tx, wfo, status, "", lease.JobID)
	})
}

// runEnd is what a walk-forward ends with.
type runEnd struct {
	found             *sweep.WFOOutcome
	warnings          []string
	outcome, evidence []byte
	candidates        []string
	stamps            []backtest.Stamp // of the folds
	manifest          string
	sum               []byte
}

// newEnd makes it. All that it reads never changes but for the stamps.
func (s *Store) newEnd(ctx context.Context, workspace, id uuid.UUID, found *sweep.WFOOutcome) (*runEnd, error) {
	var wfo *Run
	var datasets []manifest.Dataset
	var inside *manifest.Dataset
	e := &runEnd{found: found}
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		if wfo, err = readWFO(ctx, tx, workspace, id); err != nil {
			return err
		}
		if e.stamps, err = foldStamps(ctx, tx, id); err != nil {
			return err
		}
		if datasets, err = market.Described(ctx, tx, workspace, wfo.DatasetIDs()); err != nil {
			return err
		}
		inside, err = market.DescribedIntrabar(ctx, tx, workspace, wfo.Spec.IntrabarDataset)
		return err
	})
	if err != nil {
		return nil, err
	}
	e.warnings = append(append([]string{}, wfo.Warnings...), found.Warnings...)
	if e.evidence, err = json.Marshal(found.Evidence); err != nil {
		return nil, fmt.Errorf("encode evidence: %w", err)
	}
	candidates, err := manifest.Candidates(found)
	if err != nil {
		return nil, err
	}
	for _, body := range candidates {
		e.candidates = append(e.candidates, string(body))
	}
	parts, err := manifest.WithCandidates(found, candidates, e.warnings)
	if err != nil {
		return nil, err
	}
	e.outcome = parts["outcome"]
	e.manifest, e.sum, err = s.sealed(wfo, e.stamps, datasets, inside, parts)
	return e, err
}

// queue stores it. The row of the walk-forward is written once.
func (e *runEnd) queue(batch *pgx.Batch, wfo *Run) {
	of := stampOf(e.stamps)
	batch.Queue(`
		update wfo_runs set outcome = $2, curve_bars = $3, curve_equity = $4, warnings = $5, evidence = $6, candidates = null,
		                    curve_parts = $7, together_at = $8, together_equity = $9,
		                    manifest = $10, manifest_sha256 = $11, engine = nullif($12, ''), semantics = $13 where id = $1`,
		wfo.ID, e.outcome, e.found.Curve.Bars, e.found.Curve.Equity, e.warnings, e.evidence,
		e.found.Curve.Parts, e.found.Curve.At, e.found.Curve.Together, e.manifest, e.sum, of.Engine, of.Semantics)
	batch.Queue(`update wfo_folds set scores = null, stretch = null, top = null where wfo_id = $1`, wfo.ID)
	batch.Queue(`
		insert into wfo_candidates (wfo_id, rank, workspace_id, entry)
		select $1, ord, $2, e::json from unnest($3::text[]) with ordinality as u (e, ord)`, wfo.ID, wfo.WorkspaceID, append([]string{}, e.candidates...))
}
