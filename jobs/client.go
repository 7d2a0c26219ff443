package jobs

import (
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Client is River's client on pgx.
type Client = river.Client[pgx.Tx]

// NewInsertClient makes a client that only inserts and cancels: it works no queue and never
// stands for leader, so an API process can hold one. more is middleware around its inserts.
func NewInsertClient(pool *pgxpool.Pool, logger *slog.Logger, more ...rivertype.Middleware) (*InsertClient, error) {
	more = append([]rivertype.Middleware{&DatabaseTimes{}}, more...)
	driver := newDriver(pool)
	client, err := river.NewClient[pgx.Tx](driver, &river.Config{
		LeaderElectionDisabled: true, Logger: logger, Middleware: more, FetchCooldown: hintEvery,
	})
	if err != nil {
		return nil, fmt.Errorf("insert-only River client: %w", err)
	}
	inserts := &InsertClient{Client: client, pool: pool, hints: driver.hints}
	for _, m := range more {
		if around, ok := m.(rivertype.JobInsertMiddleware); ok {
			inserts.middleware = append(inserts.middleware, around)
		}
	}
	return inserts, nil
}
