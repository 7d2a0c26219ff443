package walkforward

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/market"
)

// saveManifest writes what a walk-forward was made of beside what it found. Its stamp is that of its folds,
// which are all of one.
func (s *Store) saveManifest(ctx context.Context, tx pgx.Tx, wfo *Run, found *sweep.WFOOutcome) error {
	stamps, err := foldStamps(ctx, tx, wfo.ID)
	if err != nil {
		return err
	}
	if len(stamps) == 0 {
		stamps = append(stamps, backtest.Stamp{})
	}
	if len(stamps) > 1 {
		return fmt.Errorf("the folds of walk-forward %s are of %d engines: %w", wfo.ID, len(stamps), store.ErrFenced)
	}
	datasets, err := market.Described(ctx, tx, wfo.WorkspaceID, wfo.DatasetIDs())
	if err != nil {
		return err
	}
	inside, err := market.DescribedIntrabar(ctx, tx, wfo.WorkspaceID, wfo.Spec.IntrabarDataset)
	if err != nil {
		return err
	}
	spec, err := json.Marshal(wfo.Spec)
	if err != nil {
		return fmt.Errorf("encode spec: %w", err)
	}
	config, err := json.Marshal(wfo.Config)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	parts, err := manifest.OfWalkForward(found, append(append([]string{}, wfo.Warnings...), found.Warnings...))
	if err != nil {
		return err
	}
	normalized := wfo.Spec
	normalized.Normalize()
	m := &manifest.Manifest{
		Kind: manifest.WalkForward, ID: wfo.ID.String(), Stamp: stamps[0], Spec: spec, Config: config,
		Seed: *normalized.Seed, Datasets: datasets, Intrabar: inside, Script: wfo.Spec.Script,
	}
	body, sum, err := store.SealManifest(m, parts.Sums(), s.db.Version())
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		update wfo_runs set manifest = $2, manifest_sha256 = $3, engine = nullif($4, ''), semantics = $5 where id = $1`,
		wfo.ID, body, sum, stamps[0].Engine, stamps[0].Semantics)
	if err != nil {
		return fmt.Errorf("save the manifest of walk-forward %s: %w", wfo.ID, err)
	}
	return nil
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
	candidates, err := s.Candidates(ctx, wfo.WorkspaceID, wfo.ID, 0, candidatesKept)
	if err != nil {
		return nil, err
	}
	curve, err := s.Curve(ctx, wfo.WorkspaceID, wfo.ID)
	if err != nil {
		return nil, err
	}
	return manifest.StoredWalkForward(wfo.Outcome, candidates, curve, wfo.Warnings)
}
