package walkforward

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/jobs/manifest"
	"millrace/store"
)

// sealed is the manifest of a walk-forward, whose stamp is that of its folds: they are all of one.
func (s *Store) sealed(wfo *Run, stamps []backtest.Stamp, datasets []manifest.Dataset, inside *manifest.Dataset, parts manifest.Parts) (body string, sum []byte, err error) {
	if len(stamps) > 1 {
		return "", nil, fmt.Errorf("the folds of walk-forward %s are of %d engines: %w", wfo.ID, len(stamps), store.ErrFenced)
	}
	spec, err := json.Marshal(wfo.Spec)
	if err != nil {
		return "", nil, fmt.Errorf("encode spec: %w", err)
	}
	config, err := json.Marshal(wfo.Config)
	if err != nil {
		return "", nil, fmt.Errorf("encode config: %w", err)
	}
	normalized := wfo.Spec
	normalized.Normalize()
	m := &manifest.Manifest{
		Kind: manifest.WalkForward, ID: wfo.ID.String(), Stamp: stampOf(stamps), Spec: spec, Config: config,
		Seed: *normalized.Seed, Datasets: datasets, Intrabar: inside, Script: wfo.Spec.Script,
	}
	return store.SealManifest(m, parts.Sums(), s.db.Version())
}

// stampOf is the one of the folds; none when no fold came through.
func stampOf(stamps []backtest.Stamp) (of backtest.Stamp) {
	if len(stamps) > 0 {
		of = stamps[0]
	}
	return of
}

// foldStamps are the different stamps of the folds that came through.
func foldStamps(ctx context.Context, tx pgx.Tx, wfo uuid.UUID) ([]backtest.Stamp, error) {
	rows, err := tx.Query(ctx, foldStampsQuery, wfo)
	if err != nil {
		return nil, fmt.Errorf("read the engines of walk-forward %s: %w", wfo, err)
	}
	stamps, err := pgx.CollectRows(rows, pgx.RowToStructByPos[backtest.Stamp])
	if err != nil {
		return nil, fmt.Errorf("read the engines of walk-forward %s: %w", wfo, err)
	}
	return stamps, nil
}

const foldStampsQuery = `
	select distinct coalesce(engine, ''), coalesce(semantics, '') from tunes where wfo_id = $1 and status = 'completed' order by 1, 2`

// Manifest reads the manifest of a walk-forward and its hash, or store.ErrNotFound: it is written at its end,
// and walk-forwards from before there were manifests have none.
func (s *Store) Manifest(ctx context.Context, workspace, id uuid.UUID) (body, sum string, err error) {
	return s.db.ReadManifest(ctx, workspace, "wfo_runs", id)
}

// Parts reads back everything that a walk-forward found.
func (s *Store) Parts(ctx context.Context, wfo *Run) (manifest.Parts, error) {
	candidates, err := s.Candidates(ctx, wfo.WorkspaceID, wfo.ID, 0, manifest.CandidatesKept)
	if err != nil {
		return nil, err
	}
	curve, err := s.Curve(ctx, wfo.WorkspaceID, wfo.ID)
	if err != nil {
		return nil, err
	}
	return manifest.StoredWalkForward(wfo.Outcome, candidates, curve, wfo.Warnings)
}
