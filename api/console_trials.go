package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"millrace/api/console"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
)

// Trial implements console.Reads.
func (r consoleReads) Trial(ctx context.Context, t *console.StoredTune, index int) (*types.Trial, error) {
	missing := problem(http.StatusNotFound, fmt.Sprintf("Trial %d is not one of this tune, or has not ended.", index))
	if index < 0 {
		return nil, missing
	}
	shards, err := r.store.Tuning.TrialShards(ctx, t.WorkspaceID, t.ID, index, 1)
	if err != nil {
		return nil, err
	}
	if len(shards) == 0 || index < shards[0].Shard.First || index >= shards[0].Shard.First+shards[0].Shard.Trials {
		return nil, missing
	}
	found, err := sweep.DecodeTrials(t.Spec, shards[0].Shard, shards[0].Columns, []int{index})
	if err != nil {
		return nil, fmt.Errorf("decode trial %d of tune %s: %w", index, t.ID, err)
	}
	view := viewTrial(found[0])
	return &view, nil
}

// Run implements console.Reads.
func (r consoleReads) Run(ctx context.Context, workspace, id uuid.UUID) (*console.StoredRun, error) {
	run, err := r.store.Market.Run(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	var request struct {
		Params   map[string]float64      `json:"params"`
		Script   *sweep.Script           `json:"script"`
		Side     backtest.Side           `json:"side"`
		Account  backtest.Account        `json:"account"`
		Override backtest.Override       `json:"override"`
		Stops    *backtest.Stops         `json:"stops"`
		Policy   backtest.IntrabarPolicy `json:"intrabar_policy"`
		Seed     uint64                  `json:"seed"`
	}
	if err := json.Unmarshal(run.Spec, &request); err != nil {
		return nil, fmt.Errorf("read run %s: %w", id, err)
	}
	bound := sweep.Spec{StrategyName: run.Strategy, Script: request.Script}
	if err := r.store.Strategies.Bind(ctx, workspace, &bound); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return &console.StoredRun{
		Bound: bound.Strategy(), Config: backtest.Config{
			Side: request.Side, Account: request.Account, Override: request.Override, Stops: request.Stops, Policy: request.Policy, Seed: request.Seed,
		},
		ID: run.ID, WorkspaceID: workspace, DatasetID: run.DatasetID, Dataset: run.Dataset, Strategy: run.Strategy, Spec: run.Spec,
		CreatedAt: run.CreatedAt, ArchivedAt: run.ArchivedAt, Cash: request.Account.Cash, Params: request.Params, Metrics: run.Metrics,
	}, nil
}

// Bars implements console.Reads.
func (r consoleReads) Bars(ctx context.Context, workspace, id uuid.UUID) (*backtest.Bars, error) {
	bars, _, err := r.store.Market.Bars(ctx, workspace, id)
	return bars, err
}

// RunSeries implements console.Reads.
func (r consoleReads) RunSeries(ctx context.Context, run *console.StoredRun) error {
	full, err := r.store.Market.RunDetail(ctx, run.WorkspaceID, run.ID)
	if err != nil {
		return err
	}
	if run.Bars, run.Calendar, err = r.store.Market.Bars(ctx, run.WorkspaceID, run.DatasetID); err != nil {
		return err
	}
	run.Config.Calendar = run.Calendar
	run.Window = backtest.Window{From: full.FirstBar, To: full.FirstBar + len(full.Equity)}
	run.Trades, run.Equity = full.Trades, full.Equity
	return nil
}
