package jobs

import (
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// Client is River's client on pgx.
type Client = river.Client[pgx.Tx]

// NewInsertClient makes a client that only inserts and cancels: it works no queue and never
// stands for leader, so an API process can hold one. more is middleware around its inserts.
func NewInsertClient(pool *pgxpool.Pool, logger *slog.Logger, more ...rivertype.Middleware) (*Client, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		LeaderElectionDisabled: true,
		Logger:                 logger,
		Middleware:             append([]rivertype.Middleware{&DatabaseTimes{}}, more...),
	})
	if err != nil {
		return nil, fmt.Errorf("insert-only River client: %w", err)
	}
	return client, nil
}
