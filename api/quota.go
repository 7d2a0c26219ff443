package api

import (
	"fmt"
	"math"
	"net/http"

	"millrace/api/types"
	"millrace/store"
)

// overQuota is the answer to a request that would take the workspace beyond a quota: 429 with the time when it may be asked
// again, or 413 where only a deletion makes room.
func overQuota(q *store.QuotaError) *problemError {
	fault := types.FieldError{Field: q.Quota, Message: fmt.Sprintf("%d of %d are used, and this asks for %d", q.Used, q.Limit, q.Asked), Limit: q.Limit}
	if q.Again > 0 {
		p := retryProblem(http.StatusTooManyRequests, fmt.Sprintf(
			"The workspace may submit %d trials a day: %d were submitted since midnight UTC, and this asks for %d. Ask for fewer, wait until midnight UTC, or have an admin raise the quota.",
			q.Limit, q.Used, q.Asked), int(math.Ceil(q.Again.Seconds())))
		p.Errors = []types.FieldError{fault}
		return p
	}
	p := newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf(
		"The workspace may have %d %s: it has %d, and this adds %d. Delete what is not needed, or have an admin raise the quota.", q.Limit, q.Quota, q.Used, q.Asked))
	p.Errors = []types.FieldError{fault}
	return p
}
