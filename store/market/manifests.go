package market

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
)

// Described are datasets as manifests name them, in the order of the ids.
func Described(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, ids []uuid.UUID) ([]manifest.Dataset, error) {
	rows, err := tx.Query(ctx, `
		select d.name, d.symbol, d.timeframe, d.calendar, d.bars, d.from_at, d.to_at, encode(d.sha256, 'hex'),
		       d.periods_per_year, d.time_zone, d.session, d.tick_size, d.quantity_step, d.point_value, d.currency
		  from unnest($2::uuid[]) with ordinality u (id, n) join datasets d on d.id = u.id
		 where d.workspace_id = $1 order by u.n`, workspace, ids)
	if err != nil {
		return nil, fmt.Errorf("describe datasets: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d manifest.Dataset, err error) {
		err = row.Scan(&d.Name, &d.Symbol, &d.Timeframe, &d.Calendar, &d.Bars, &d.From, &d.To, &d.SHA256,
			&d.Instrument.PeriodsPerYear, &d.Instrument.TimeZone, &d.Instrument.Session, &d.Instrument.TickSize,
			&d.Instrument.QuantityStep, &d.Instrument.PointValue, &d.Instrument.Currency)
		d.From, d.To = d.From.UTC(), d.To.UTC()
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("describe datasets: %w", err)
	}
	if len(found) != len(ids) {
		return nil, fmt.Errorf("%d datasets of %d: %w", len(found), len(ids), store.ErrNotFound)
	}
	return found, nil
}

// Packed reads the bars of a dataset as ohlcv.Encode packs them.
func (s *Store) Packed(ctx context.Context, workspace, id uuid.UUID) (data []byte, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `select data from datasets where workspace_id = $1 and id = $2`, workspace, id).Scan(&data)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("dataset %s: %w", id, store.ErrNotFound)
		}
		return err
	})
	return data, err
}

// seal makes the manifest of a run that is about to be stored: runs are never updated.
func (s *Store) seal(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, run *Run) (body string, sum []byte, err error) {
	datasets, err := Described(ctx, tx, workspace, []uuid.UUID{run.DatasetID})
	if err != nil {
		return "", nil, err
	}
	parts, err := run.Parts()
	if err != nil {
		return "", nil, err
	}
	m := &manifest.Manifest{
		Kind: manifest.Run, ID: run.ID.String(), Stamp: run.Stamp, Spec: run.Spec, Seed: run.Seed,
		Datasets: datasets, Script: run.Script,
	}
	return store.SealManifest(m, parts.Sums(), s.db.Version())
}

// Manifest reads the manifest of a run, or store.ErrNotFound: also of one from before there were any.
func (s *Store) Manifest(ctx context.Context, workspace, id uuid.UUID) (body string, sum string, err error) {
	return s.db.ReadManifest(ctx, workspace, "backtest_runs", id)
}

// Parts are what a run found.
func (r *Run) Parts() (manifest.Parts, error) { return manifest.OfRun(r.Metrics, r.Trades, r.Equity) }

// pinned is the script that a run's spec pins, nil when there is none.
func pinned(spec json.RawMessage) *sweep.Script {
	var named struct{ Script *sweep.Script }
	_ = json.Unmarshal(spec, &named) // it is the server's own
	return named.Script
}

// intrabarOf is the id of the dataset whose bars a run follows inside those of its own, "" when there is none.
func intrabarOf(spec json.RawMessage) string {
	var named struct {
		Intrabar string `json:"intrabar_dataset"`
	}
	_ = json.Unmarshal(spec, &named) // it is the server's own
	return named.Intrabar
}
