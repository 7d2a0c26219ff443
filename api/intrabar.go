package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"millrace/jobs/backtest"
	"millrace/store/market"
)

// intrabar puts the bars of the dataset that a request names as intrabar_dataset inside its own, and pins
// its id. "" is none.
func (s *Server) intrabar(ctx context.Context, workspace uuid.UUID, name *string, of market.Dataset, bars *backtest.Bars) (*backtest.Bars, error) {
	const field = "intrabar_dataset"
	if *name == "" {
		return bars, nil
	}
	fine, err := s.store.Market.Dataset(ctx, workspace, *name)
	switch {
	case err != nil:
		return nil, datasetProblem(field, *name, err)
	case fine.Name == of.Name:
		return nil, fieldProblem(field, "is the dataset itself: name one of a lower timeframe", nil)
	case fine.Symbol != of.Symbol:
		return nil, fieldProblem(field, fmt.Sprintf("is of the symbol %q, the dataset of %q", fine.Symbol, of.Symbol), nil)
	}
	*name = fine.ID.String()
	detailed, err := s.store.Market.Detailed(ctx, workspace, bars, *name)
	var reason *backtest.DetailError
	if errors.As(err, &reason) {
		return nil, fieldProblem(field, reason.Reason, nil)
	}
	return detailed, err
}
