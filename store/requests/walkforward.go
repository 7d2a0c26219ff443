package requests

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"millrace/jobs/invalid"
	"millrace/jobs/sweep"
	"millrace/store/walkforward"
)

// WalkForward is the body of POST /backtests/wfo: a tune and how it walks.
type WalkForward struct {
	Tune
	WFOConfig sweep.WFOConfig `json:"wfo_config"`
}

// WalkForward holds the request against its rules and its dataset; nothing is stored when it fails.
func (c Checker) WalkForward(ctx context.Context, workspace uuid.UUID, req WalkForward) (walkforward.NewRun, error) {
	if err := c.Bind(ctx, workspace, &req.Spec); err != nil {
		return walkforward.NewRun{}, err
	}
	wfo := walkforward.NewRun{Spec: req.Spec, Config: req.WFOConfig}
	faults := wfo.Config.Check(wfo.Spec)
	if req.Dataset == "" {
		faults = append(faults, invalid.FieldError{Field: "dataset", Message: "is required: the id or name of a dataset"})
	}
	if err := invalidFields(faults...); err != nil {
		return wfo, err
	}
	dataset, err := c.Market.Dataset(ctx, workspace, req.Dataset)
	if err != nil {
		return wfo, NoDataset("dataset", req.Dataset, err)
	}
	bars, calendar, err := c.Market.Bars(ctx, workspace, dataset.ID)
	if err != nil {
		return wfo, err
	}
	if bars, err = c.Intrabar(ctx, workspace, &wfo.Spec.IntrabarDataset, dataset, bars); err != nil {
		return wfo, err
	}
	wfo.DatasetID, wfo.Dataset = dataset.ID, dataset.FullName
	wfo.Config.Normalize()
	if wfo.Folds, wfo.Warnings, faults = wfo.Config.Folds(bars); len(faults) > 0 {
		return wfo, invalidFields(faults...)
	}
	first := wfo.Folds[slices.IndexFunc(wfo.Folds, func(f sweep.Fold) bool { return f.Problem == "" })]
	plan, faults := sweep.NewPlan(wfo.Spec.OfFold(first), bars, calendar)
	if err := invalidFields(faults...); err != nil {
		return wfo, err
	}
	if wfo.Spec.OOSRatio != nil {
		wfo.Warnings = append(wfo.Warnings, "oos_ratio is not used: each fold is judged on its own test window")
		wfo.Spec.OOSRatio = nil
	}
	wfo.Spec.Normalize()
	wfo.Trials = plan.Trials()
	wfo.Warnings = append(wfo.Warnings, plan.Warnings()...)
	if all := wfo.Trials * len(wfo.Folds); all > sweep.MaxFoldTrials {
		return wfo, invalidField("n_trials", fmt.Sprintf("%d trials in %d folds are %d, more than %d", wfo.Trials, len(wfo.Folds), all, sweep.MaxFoldTrials),
			sweep.MaxFoldTrials/len(wfo.Folds))
	}
	return wfo, nil
}
