package jobs

import (
	"fmt"
	"log/slog"
	"time"

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
func NewInsertClient(pool *pgxpool.Pool, logger *slog.Logger, more ...rivertype.Middleware) (*InsertClient, error) {
	more = append([]rivertype.Middleware{&DatabaseTimes{}}, more...)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		LeaderElectionDisabled: true,
		Logger:                 logger,
		// How long a queue whose workers were woken is not woken again. What is inserted meanwhile may come too late for the
		// fetch that it woke, and then waits for the next poll, half a second: at the default of 100 ms most of a burst did.
		FetchCooldown: 5 * time.Millisecond,
		Middleware:    more,
	})
	if err != nil {
		return nil, fmt.Errorf("insert-only River client: %w", err)
	}
	inserts := &InsertClient{Client: client}
	for _, m := range more {
		if around, ok := m.(rivertype.JobInsertMiddleware); ok {
			inserts.middleware = append(inserts.middleware, around)
		}
	}
	return inserts, nil
}
