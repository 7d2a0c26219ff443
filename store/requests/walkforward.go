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

// WalkForward holds the request against its rules and its datasets; nothing is stored when it fails.
func (c Checker) WalkForward(ctx context.Context, workspace uuid.UUID, req WalkForward) (walkforward.NewRun, error) {
	if err := c.Bind(ctx, workspace, &req.Spec); err != nil {
		return walkforward.NewRun{}, err
	}
	wfo := walkforward.NewRun{Spec: req.Spec, Config: req.WFOConfig}
	if err := invalidFields(append(wfo.Config.Check(wfo.Spec), req.checkNamed()...)...); err != nil {
		return wfo, err
	}
	series, ids, err := c.datasets(ctx, workspace, req.Dataset, &wfo.Spec)
	if err != nil {
		return wfo, err
	}
	wfo.Names = c.names(&req.Tune)
	wfo.DatasetID, wfo.Dataset = ids[0], series[0].Name
	if len(wfo.Spec.Datasets) > 0 {
		wfo.Several = ids
	}
	wfo.Config.Normalize()
	var faults []invalid.FieldError
	if wfo.Folds, wfo.Warnings, faults = wfo.Config.FoldsOver(series); len(faults) > 0 {
		return wfo, invalidFields(faults...)
	}
	first := wfo.Folds[slices.IndexFunc(wfo.Folds, func(f sweep.Fold) bool { return f.Problem == "" })]
	plan, faults := sweep.NewPlanOver(wfo.Spec.OfFold(first), series)
	if err := invalidFields(faults...); err != nil {
		return wfo, err
	}
	wfo.Spec.Normalize()
	wfo.Trials = plan.Trials()
	wfo.Warnings = sweep.FoldWarnings(wfo.Spec, wfo.Warnings, plan)
	if all := wfo.Trials * len(wfo.Folds); all > sweep.MaxFoldTrials {
		return wfo, invalidField("n_trials", fmt.Sprintf("%d trials in %d folds are %d, more than %d", wfo.Trials, len(wfo.Folds), all, sweep.MaxFoldTrials),
			sweep.MaxFoldTrials/len(wfo.Folds))
	}
	return wfo, nil
}
