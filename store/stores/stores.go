// Package stores puts the stores of all aggregates on one pool.
package stores

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/labels"
	"millrace/store/library"
	"millrace/store/lifecycle"
	"millrace/store/market"
	"millrace/store/recommend"
	"millrace/store/schedules"
	"millrace/store/strategies"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/upkeep"
	"millrace/store/walkforward"
	"millrace/store/webhooks"
	"millrace/store/workers"
)

// Set is a store for each aggregate, all on one database. It is safe for concurrent use.
type Set struct {
	*store.DB
	EventLog    *eventlog.Store
	Labels      *labels.Store
	Library     *library.Store
	Lifecycle   *lifecycle.Store
	Market      *market.Store
	Recommend   *recommend.Store
	Schedules   *schedules.Store
	Strategies  *strategies.Store
	Tenants     *tenants.Store
	Tuning      *tuning.Store
	Upkeep      *upkeep.Store
	WalkForward *walkforward.Store
	Webhooks    *webhooks.Store
	Workers     *workers.Store
}

// New makes the stores on the pool. jobs may be nil where nothing is submitted.
func New(pool *pgxpool.Pool, jobs store.Jobs) *Set {
	db := store.New(pool, jobs)
	set := &Set{
		DB:          db,
		EventLog:    eventlog.New(db),
		Labels:      labels.New(db),
		Library:     library.New(db),
		Market:      market.New(db),
		Recommend:   recommend.New(db),
		Schedules:   schedules.New(db),
		Strategies:  strategies.New(db),
		Tenants:     tenants.New(db),
		WalkForward: walkforward.New(db),
		Workers:     workers.New(db),
	}
	set.Webhooks = webhooks.New(db, set.EventLog)
	set.Tuning = tuning.New(db, set.Market, set.WalkForward)
	set.Lifecycle = lifecycle.New(db, set.Tuning, set.WalkForward, set.Schedules)
	set.Upkeep = upkeep.New(db, set.EventLog, set.Workers)
	db.SetSchedules(set.Schedules)
	return set
}
