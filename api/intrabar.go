package api

import (
	"context"

	"github.com/google/uuid"

	"millrace/jobs/backtest"
	"millrace/store/market"
)

// intrabar puts the bars of the dataset that a request names as intrabar_dataset inside its own.
func (s *Server) intrabar(ctx context.Context, workspace uuid.UUID, name *string, of market.Dataset, bars *backtest.Bars) (*backtest.Bars, error) {
	detailed, err := s.checker().Intrabar(ctx, workspace, name, of, bars)
	return detailed, asFault(err)
}
