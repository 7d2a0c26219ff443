package fleet

import (
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river/rivertype"

	"millrace/store"
)

// backoff retries soon at first: most errors here are a database that is away for a moment.
type backoff struct{ clock *store.Clock }

// NextRetry implements river.ClientRetryPolicy: 0.25 s, doubled each attempt up to a minute, ± 20 %.
func (b backoff) NextRetry(job *rivertype.JobRow) time.Time {
	pause := min(250*time.Millisecond<<min(job.Attempt-1, 10), time.Minute)
	return b.clock.Now().Add(time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64())))
}

// databaseTime is the clock of River's decisions. Where River lets the database fill in a time, it
// does.
type databaseTime struct{ clock *store.Clock }

// Now implements rivertype.TimeGenerator.
func (d databaseTime) Now() time.Time { return d.clock.Now() }

// NowOrNil implements rivertype.TimeGenerator.
func (databaseTime) NowOrNil() *time.Time { return nil }
