package market

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
)

// Run is one backtest kept with its trades and equity.
type Run struct {
	ID         uuid.UUID
	DatasetID  uuid.UUID
	Dataset    string // name
	Strategy   string
	Spec       json.RawMessage // the request with its defaults filled in
	Metrics    backtest.Metrics
	Stamp      backtest.Stamp
	Seed       uint64
	Script     *sweep.Script // nil: not a script
	CreatedAt  time.Time
	ArchivedAt *time.Time // nil: it is in the lists
	// The next are read by RunDetail only.
	Trades   []backtest.Trade
	Equity   []float64 // at each bar's close, quote currency
	FirstBar int       // index of the first equity in the dataset
}

// PutRun stores a run, in the transaction of its submission.
func (s *Store) PutRun(ctx context.Context, sub store.Submission, run Run, render func(*Run) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		err := store.HoldScriptOfRun(ctx, tx, sub.Workspace, run.Script)
		if err != nil {
			return store.Response{}, err
		}
		if err := store.HoldDatasets(ctx, tx, sub.Workspace, run.IntrabarDataset(), run.DatasetID); err != nil {
			return store.Response{}, err
		}
		if run.ID, err = uuid.NewV7(); err != nil {
			return store.Response{}, fmt.Errorf("run id: %w", err)
		}
		metrics, err := json.Marshal(run.Metrics)
		if err != nil {
			return store.Response{}, fmt.Errorf("encode metrics: %w", err)
		}
		trades, err := json.Marshal(append([]backtest.Trade{}, run.Trades...))
		if err != nil {
			return store.Response{}, fmt.Errorf("encode trades: %w", err)
		}
		body, sum, err := s.seal(ctx, tx, sub.Workspace, &run)
		if err != nil {
			return store.Response{}, err
		}
		err = tx.QueryRow(ctx, `
			insert into backtest_runs (id, workspace_id, dataset_id, strategy, spec, metrics, trades, equity, first_bar,
			                           engine, semantics, manifest, manifest_sha256)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''), $11, $12, $13) returning created_at`,
			run.ID, sub.Workspace, run.DatasetID, run.Strategy, run.Spec, metrics, trades, run.Equity, run.FirstBar,
			run.Stamp.Engine, run.Stamp.Semantics, body, sum).
			Scan(&run.CreatedAt)
		if err != nil {
			return store.Response{}, fmt.Errorf("insert run: %w", err)
		}
		return render(&run)
	})
}

// Run reads a run of the workspace without trades and equity, or ErrNotFound.
func (s *Store) Run(ctx context.Context, workspace, id uuid.UUID) (*Run, error) {
	var run *Run
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		run, err = store.ReadOne(ctx, tx, "run "+id.String(), scanRun, `
			select r.id, r.dataset_id, d.name, r.strategy, r.spec, r.metrics, r.created_at, r.archived_at
			  from backtest_runs r join datasets d on d.id = r.dataset_id
			 where r.workspace_id = $1 and r.id = $2`, workspace, id)
		return err
	})
	return run, err
}

// RunDetail reads a run of the workspace with its trades and equity, or ErrNotFound.
func (s *Store) RunDetail(ctx context.Context, workspace, id uuid.UUID) (*Run, error) {
	var run Run
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		var metrics, trades []byte
		err := tx.QueryRow(ctx, `
			select r.id, r.dataset_id, d.name, r.strategy, r.spec, r.metrics, r.created_at, r.trades, r.equity, r.first_bar,
			       coalesce(r.engine, ''), coalesce(r.semantics, ''), r.archived_at
			  from backtest_runs r join datasets d on d.id = r.dataset_id
			 where r.workspace_id = $1 and r.id = $2`, workspace, id).
			Scan(&run.ID, &run.DatasetID, &run.Dataset, &run.Strategy, &run.Spec, &metrics, &run.CreatedAt,
				&trades, &run.Equity, &run.FirstBar, &run.Stamp.Engine, &run.Stamp.Semantics, &run.ArchivedAt)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("run %s: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read run %s: %w", id, err)
		}
		if err := json.Unmarshal(metrics, &run.Metrics); err != nil {
			return fmt.Errorf("decode metrics of run %s: %w", id, err)
		}
		run.Script = pinned(run.Spec)
		if err := json.Unmarshal(trades, &run.Trades); err != nil {
			return fmt.Errorf("decode trades of run %s: %w", id, err)
		}
		return nil
	})
	return &run, err
}

// RunFilter narrows a list of runs; what is empty does not.
type RunFilter struct {
	Strategy string
	Archived *bool // nil: both
}

// Runs lists the workspace's runs without trades and equity, newest first, from after the page's place.
func (s *Store) Runs(ctx context.Context, workspace uuid.UUID, filter RunFilter, page store.Page, limit int) ([]*Run, error) {
	var list []*Run
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "runs", scanRun, `
			select r.id, r.dataset_id, d.name, r.strategy, r.spec, r.metrics, r.created_at, r.archived_at
			  from backtest_runs r join datasets d on d.id = r.dataset_id
			 where r.workspace_id = $1 and ($5 = '' or r.strategy = $5) and ($6::boolean is null or (r.archived_at is not null) = $6)
			   and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (r.created_at, r.id) < ($2, $3))
			 order by r.created_at desc, r.id desc limit $4`,
			workspace, page.Before, page.BeforeID, limit, filter.Strategy, filter.Archived)
		return err
	})
	return list, err
}

func scanRun(row pgx.CollectableRow) (*Run, error) {
	var run Run
	var metrics []byte
	if err := row.Scan(&run.ID, &run.DatasetID, &run.Dataset, &run.Strategy, &run.Spec, &metrics, &run.CreatedAt, &run.ArchivedAt); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(metrics, &run.Metrics); err != nil {
		return nil, fmt.Errorf("decode metrics of run %s: %w", run.ID, err)
	}
	run.Script = pinned(run.Spec)
	return &run, nil
}
