package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// DatabaseTimes has the database say when a job was inserted and may be worked. River's driver fills
// in the machine's time, and a machine whose clock is ahead would insert jobs that nobody works for as
// long as it is ahead.
type DatabaseTimes struct{ river.MiddlewareDefaults }

// InsertMany implements rivertype.JobInsertMiddleware.
func (*DatabaseTimes) InsertMany(ctx context.Context, many []*rivertype.JobInsertParams,
	insert func(context.Context) ([]*rivertype.JobInsertResult, error),
) ([]*rivertype.JobInsertResult, error) {
	var unset time.Time // the driver's SQL reads it as now()
	for _, job := range many {
		if job.CreatedAt == nil {
			job.CreatedAt = &unset
		}
		if job.ScheduledAt == nil {
			job.ScheduledAt = &unset
		}
	}
	return insert(ctx)
}
