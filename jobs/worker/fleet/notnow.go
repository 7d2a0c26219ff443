package fleet

import (
	"encoding/json"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/store"
)

const (
	// waitFirst and waitMost are the pauses of a job that met a database which says "not now".
	waitFirst = 250 * time.Millisecond
	waitMost  = 4 * time.Second // River makes a longer wait depend on its leader
	// waitsUnreachable is how often an error that may be of another connection than the database's
	// counts as "not now".
	waitsUnreachable = 100
)

// notNow has a job wait whose attempt met a database that could not be reached, was full, or took no
// writes: the attempt is not the job's failure and costs nothing. Any other error stays what it is. lost
// says that the pool lost a connection during the attempt.
func notNow(err error, job *rivertype.JobRow, lost bool) error {
	if err == nil || outcome(err) != "error" {
		return err
	}
	waits := waitsOf(job)
	if store.Refused(err) || lost && store.Unreachable(err) && waits < waitsUnreachable {
		return river.JobSnooze(min(waitFirst<<min(waits, 10), waitMost))
	}
	return err
}

// waitsOf is how often the job has waited, as River counts it.
func waitsOf(job *rivertype.JobRow) int {
	var metadata struct {
		Snoozes int `json:"snoozes"`
	}
	_ = json.Unmarshal(job.Metadata, &metadata) // not ours to judge: then it never waited
	return max(0, metadata.Snoozes)
}
