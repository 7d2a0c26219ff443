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
	if err := invalidFields(append(req.Spec.Check(), req.checkNamed()...)...); err != nil {
		return tune, err
	}
	tune.Spec.Normalize()
	series, ids, err := c.datasets(ctx, workspace, req.Dataset, &tune.Spec)
	if err != nil {
		return tune, err
	}
	tune.Names = c.names(&req)
	tune.DatasetID, tune.Dataset = ids[0], series[0].Name
	if len(tune.Spec.Datasets) > 0 {
		tune.Several = ids
	}
	plan, faults := sweep.NewPlanOver(tune.Spec, series)
	if err := invalidFields(faults...); err != nil {
		return tune, err
	}
	tune.Trials = plan.Trials()
	return tune, nil
}

// checkNamed says whether the request names one dataset, or several.
func (req *Tune) checkNamed() []invalid.FieldError {
	switch several := len(req.Datasets) > 0; {
	case several && req.Dataset != "":
		return []invalid.FieldError{{Field: "dataset", Message: "does not go with datasets; name one, or several"}}
	case !several && req.Dataset == "":
		return []invalid.FieldError{{Field: "dataset", Message: "is required: the id or name of a dataset, or several as datasets"}}
	}
	return nil
}

// names are those of the datasets that were taken from memory.
func (c Checker) names(req *Tune) (names []store.DatasetName) {
	if !c.Remembered {
		return nil
	}
	if len(req.Datasets) == 0 {
		return []store.DatasetName{market.NameOf(req.Dataset)}
	}
	for _, name := range req.Datasets {
		names = append(names, market.NameOf(name))
	}
	return names
}

// datasets reads the dataset or the datasets that a request names, and notes their full names in its spec. The ids are
// theirs, in order.
func (c Checker) datasets(ctx context.Context, workspace uuid.UUID, one string, spec *sweep.Spec) (series []sweep.Series, ids []uuid.UUID, err error) {
	names, field := []string{one}, func(int) string { return "dataset" }
	several := len(spec.Datasets) > 0
	if several {
		names, field = spec.Datasets, func(i int) string { return fmt.Sprintf("datasets[%d]", i) }
		spec.Datasets = nil
	}
	total := 0
	for i, name := range names {
		find := c.Market.Dataset
		if c.Remembered {
			find = c.Market.RememberedDataset
		}
		dataset, err := find(ctx, workspace, name)
		if err != nil {
			return nil, nil, NoDataset(field(i), name, err)
		}
		if total += dataset.Bars; several && total > sweep.MaxTuneBars {
			return nil, nil, invalidField("datasets", fmt.Sprintf("have more than %d bars together", sweep.MaxTuneBars), sweep.MaxTuneBars)
		}
		if slices.Contains(ids, dataset.ID) {
			return nil, nil, invalidField(field(i), fmt.Sprintf("%s is named twice", dataset.FullName), nil)
		}
		bars, calendar, err := c.Market.Bars(ctx, workspace, dataset.ID)
		if err != nil {
			return nil, nil, err
		}
		if bars, err = c.Intrabar(ctx, workspace, &spec.IntrabarDataset, dataset, bars); err != nil {
			return nil, nil, err
		}
		if several {
			spec.Datasets = append(spec.Datasets, dataset.FullName)
		}
		ids = append(ids, dataset.ID)
		series = append(series, sweep.Series{Name: dataset.FullName, Bars: bars, Calendar: calendar})
	}
	return series, ids, nil
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
