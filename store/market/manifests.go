package market

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
)

// Described are datasets as manifests name them, in the order of the ids.
func Described(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, ids []uuid.UUID) ([]manifest.Dataset, error) {
	batch := &pgx.Batch{}
	found := QueueDescribed(batch, workspace, ids)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("describe datasets: %w", err)
	}
	return found()
}

// QueueDescribed is Described in a batch; found is what came of it when the batch has run.
func QueueDescribed(batch *pgx.Batch, workspace uuid.UUID, ids []uuid.UUID) (found func() ([]manifest.Dataset, error)) {
	var datasets []manifest.Dataset
	batch.Queue(`
		select d.name, d.symbol, d.timeframe, d.calendar, d.bars, d.from_at, d.to_at, encode(d.sha256, 'hex'),
		       d.periods_per_year, d.time_zone, d.session, d.tick_size, d.quantity_step, d.point_value, d.currency
		  from unnest($2::uuid[]) with ordinality u (id, n) join datasets d on d.id = u.id
		 where d.workspace_id = $1 order by u.n`, workspace, ids).Query(func(rows pgx.Rows) (err error) {
		datasets, err = pgx.CollectRows(rows, scanDescribed)
		return err
	})
	return func() ([]manifest.Dataset, error) {
		if len(datasets) != len(ids) {
			return nil, fmt.Errorf("%d datasets of %d: %w", len(datasets), len(ids), store.ErrNotFound)
		}
		return datasets, nil
	}
}

func scanDescribed(row pgx.CollectableRow) (d manifest.Dataset, err error) {
	err = row.Scan(&d.Name, &d.Symbol, &d.Timeframe, &d.Calendar, &d.Bars, &d.From, &d.To, &d.SHA256,
		&d.Instrument.PeriodsPerYear, &d.Instrument.TimeZone, &d.Instrument.Session, &d.Instrument.TickSize,
		&d.Instrument.QuantityStep, &d.Instrument.PointValue, &d.Instrument.Currency)
	d.From, d.To = d.From.UTC(), d.To.UTC()
	return d, err
}

// DescribedIntrabar is the dataset whose bars a spec follows inside its own, as manifests name it; nil when id is "".
func DescribedIntrabar(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, id string) (*manifest.Dataset, error) {
	if id == "" {
		return nil, nil
	}
	dataset, err := uuid.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("intrabar dataset: %w", err)
	}
	found, err := Described(ctx, tx, workspace, []uuid.UUID{dataset})
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// Packed reads all bars of a dataset as ohlcv.Encode packs them: of an appended version also those of the
// versions that it follows.
func (s *Store) Packed(ctx context.Context, workspace, id uuid.UUID) ([]byte, error) {
	var links []link
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		if links, err = chain(ctx, tx, workspace, id); err != nil {
			return err
		}
		return fill(ctx, tx, workspace, links)
	})
	if err != nil {
		return nil, err
	}
	if len(links) == 1 {
		return links[0].data, nil
	}
	bars, err := join(links)
	if err != nil {
		return nil, fmt.Errorf("decode dataset %s: %w", id, err)
	}
	return ohlcv.Encode(bars)
}

// seal makes the manifest of a run that is about to be stored: runs are never updated.
func (s *Store) seal(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, run *Run) (body string, sum []byte, err error) {
	datasets, err := Described(ctx, tx, workspace, []uuid.UUID{run.DatasetID})
	if err != nil {
		return "", nil, err
	}
	inside, err := DescribedIntrabar(ctx, tx, workspace, run.IntrabarDataset())
	if err != nil {
		return "", nil, err
	}
	parts, err := run.Parts()
	if err != nil {
		return "", nil, err
	}
	m := &manifest.Manifest{
		Kind: manifest.Run, ID: run.ID.String(), Stamp: run.Stamp, Spec: run.Spec, Seed: run.Seed,
		Datasets: datasets, Intrabar: inside, Script: run.Script,
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

// IntrabarDataset is the id of the dataset whose bars the run follows inside those of its own, "" when there is none.
func (r *Run) IntrabarDataset() string {
	var named struct {
		Intrabar string `json:"intrabar_dataset"`
	}
	_ = json.Unmarshal(r.Spec, &named) // it is the server's own
	return named.Intrabar
}
