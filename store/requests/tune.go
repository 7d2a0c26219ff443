package requests

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/tuning"
)

// Tune is the body of POST /backtests/tune.
type Tune struct {
	Dataset string `json:"dataset"`
	sweep.Spec
}

// Tune holds the request against its rules and its dataset; nothing is stored when it fails.
func (c Checker) Tune(ctx context.Context, workspace uuid.UUID, req Tune) (tuning.NewTune, error) {
	if err := c.Bind(ctx, workspace, &req.Spec); err != nil {
		return tuning.NewTune{}, err
	}
	tune := tuning.NewTune{Spec: req.Spec}
	faults := req.Spec.Check()
	switch several := len(req.Datasets) > 0; {
	case several && req.Dataset != "":
		faults = append(faults, invalid.FieldError{Field: "dataset", Message: "does not go with datasets; name one, or several"})
	case !several && req.Dataset == "":
		faults = append(faults, invalid.FieldError{Field: "dataset", Message: "is required: the id or name of a dataset, or several as datasets"})
	}
	if err := invalidFields(faults...); err != nil {
		return tune, err
	}
	tune.Spec.Normalize()
	series, err := c.datasets(ctx, workspace, req.Dataset, &tune)
	if err != nil {
		return tune, err
	}
	plan, faults := sweep.NewPlanOver(tune.Spec, series)
	if err := invalidFields(faults...); err != nil {
		return tune, err
	}
	tune.Trials = plan.Trials()
	return tune, nil
}

// datasets reads the dataset or the datasets that a tune names, and notes them in it.
func (c Checker) datasets(ctx context.Context, workspace uuid.UUID, one string, tune *tuning.NewTune) ([]sweep.Series, error) {
	names, field := []string{one}, func(int) string { return "dataset" }
	several := len(tune.Spec.Datasets) > 0
	if several {
		names, field = tune.Spec.Datasets, func(i int) string { return fmt.Sprintf("datasets[%d]", i) }
		tune.Spec.Datasets = nil
	}
	var series []sweep.Series
	total := 0
	for i, name := range names {
		dataset, err := c.Market.Dataset(ctx, workspace, name)
		if err != nil {
			return nil, NoDataset(field(i), name, err)
		}
		if total += dataset.Bars; several && total > sweep.MaxTuneBars {
			return nil, invalidField("datasets", fmt.Sprintf("have more than %d bars together", sweep.MaxTuneBars), sweep.MaxTuneBars)
		}
		if slices.Contains(tune.Several, dataset.ID) {
			return nil, invalidField(field(i), fmt.Sprintf("%s is named twice", dataset.FullName), nil)
		}
		bars, calendar, err := c.Market.Bars(ctx, workspace, dataset.ID)
		if err != nil {
			return nil, err
		}
		if bars, err = c.Intrabar(ctx, workspace, &tune.Spec.IntrabarDataset, dataset, bars); err != nil {
			return nil, err
		}
		if i == 0 {
			tune.DatasetID, tune.Dataset = dataset.ID, dataset.FullName
		}
		if several {
			tune.Several, tune.Spec.Datasets = append(tune.Several, dataset.ID), append(tune.Spec.Datasets, dataset.FullName)
		}
		series = append(series, sweep.Series{Name: dataset.FullName, Bars: bars, Calendar: calendar})
	}
	return series, nil
}

// Bind binds a spec to the script that it names. A pin that the request brings is not believed.
func (c Checker) Bind(ctx context.Context, workspace uuid.UUID, spec *sweep.Spec) error {
	spec.Script = nil
	err := c.Strategies.Bind(ctx, workspace, spec)
	if errors.Is(err, store.ErrNotFound) {
		return UnknownStrategy(spec.StrategyName)
	}
	return err
}

// Intrabar puts the bars of the dataset that a request names as intrabar_dataset inside its own, and pins
// its id. "" is none.
func (c Checker) Intrabar(ctx context.Context, workspace uuid.UUID, name *string, of market.Dataset, bars *backtest.Bars) (*backtest.Bars, error) {
	const field = "intrabar_dataset"
	if *name == "" {
		return bars, nil
	}
	fine, err := c.Market.Dataset(ctx, workspace, *name)
	switch {
	case err != nil:
		return nil, NoDataset(field, *name, err)
	case fine.Name == of.Name:
		return nil, invalidField(field, "is the dataset itself: name one of a lower timeframe", nil)
	case fine.Symbol != of.Symbol:
		return nil, invalidField(field, fmt.Sprintf("is of the symbol %q, the dataset of %q", fine.Symbol, of.Symbol), nil)
	}
	*name = fine.ID.String()
	detailed, err := c.Market.Detailed(ctx, workspace, bars, *name)
	var reason *backtest.DetailError
	if errors.As(err, &reason) {
		return nil, invalidField(field, reason.Reason, nil)
	}
	return detailed, err
}
