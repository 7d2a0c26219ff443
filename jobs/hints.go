package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

const (
	// hintEvery is how often the transactions of a process wake a queue's workers as they commit: a notification takes a lock
	// of the whole server.
	hintEvery = 5 * time.Millisecond
	// hintTopic is River's name for what wakes workers of a queue.
	hintTopic = "river_insert"
	// hintWithin bounds a hint that comes after its transactions. Without it the poll finds their jobs.
	hintWithin = time.Second
)

// hintSQL wakes as River does.
const hintSQL = `select pg_notify(current_schema() || '.' || $1, $2)`

// hints wakes the workers of queues in which jobs were inserted. River leaves out the hint of what is inserted soon after
// another, though the fetch that the first hint brings about may come before the second job's commit: that job then waits
// for the next poll, half a second. Here its hint comes after its commit, one for all that committed meanwhile.
type hints struct {
	pool  *pgxpool.Pool
	every time.Duration

	mu   sync.Mutex
	last map[string]time.Time   // when a queue was hinted at
	owed map[string]*time.Timer // of queues whose hint is still to come
}

func newHints(pool *pgxpool.Pool) *hints {
	return &hints{pool: pool, every: hintEvery, last: map[string]time.Time{}, owed: map[string]*time.Timer{}}
}

// due reports whether a transaction that inserts into a queue now is to hint at it itself.
func (h *hints) due(queue string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if now.Sub(h.last[queue]) < h.every {
		return false
	}
	h.last[queue] = now
	return true
}

// committed has a queue hinted at soon, for a transaction that has not done so itself.
func (h *hints) committed(queue string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owed[queue] == nil {
		h.owed[queue] = time.AfterFunc(h.every-time.Since(h.last[queue]), h.sender(queue))
	}
}

// sender sends a queue's hint for a timer. A panic in a timer's goroutine would end the process.
func (h *hints) sender(queue string) func() {
	return func() {
		defer func() { _ = recover() }()
		h.send(queue)
	}
}

func (h *hints) send(queue string) {
	h.mu.Lock()
	delete(h.owed, queue) // first: what commits from now on may come too late for this hint
	h.last[queue] = time.Now()
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), hintWithin)
	defer cancel()
	_, _ = h.pool.Exec(ctx, hintSQL, hintTopic, hint(queue)) // the poll stands in
}

func hint(queue string) string { return fmt.Sprintf(`{"queue": %q}`, queue) }

// inserting is River's part in a transaction.
type inserting struct {
	riverdriver.ExecutorTx

	driver      *driver
	tx          pgx.Tx
	afterCommit func(fn func()) // nil: its commit is not known here
	after       []func()        // what follows the commit of River's own
	hinted      bool            // River's client does not have to
}

// Commit implements riverdriver.ExecutorTx.
func (t *inserting) Commit(ctx context.Context) error {
	if err := t.ExecutorTx.Commit(ctx); err != nil {
		return err
	}
	for _, fn := range t.after {
		fn()
	}
	return nil
}

// JobInsertFastMany implements riverdriver.Executor.
func (t *inserting) JobInsertFastMany(ctx context.Context, params *riverdriver.JobInsertFastManyParams) ([]*riverdriver.JobInsertFastResult, error) {
	by := t.ExecutorTx
	if alone(params) {
		by = t.driver.Driver.UnwrapExecutor(&insertingOne{t.tx})
	}
	inserted, err := by.JobInsertFastMany(ctx, params)
	if err != nil {
		return nil, err
	}
	return inserted, t.hint(ctx, params)
}

var errDuplicate = errors.New("a unique job of these is there already")

// JobInsertFastManyNoReturning implements riverdriver.Executor. River's copies, which Postgres refuses under row-level security,
// and which would store the time that DatabaseTimes leaves to the database as the year 1.
func (t *inserting) JobInsertFastManyNoReturning(ctx context.Context, params *riverdriver.JobInsertFastManyParams) (int, error) {
	inserted, err := t.JobInsertFastMany(ctx, params)
	if err != nil {
		return 0, err
	}
	for _, job := range inserted {
		if job.UniqueSkippedAsDuplicate {
			return 0, errDuplicate // as a copy fails, and with it the transaction that nobody may commit
		}
	}
	return len(inserted), nil
}

// hint hints at the queues of jobs that were inserted, with the commit or soon after it.
func (t *inserting) hint(ctx context.Context, params *riverdriver.JobInsertFastManyParams) error {
	t.hinted = true
	if _, already := t.tx.(*oneTrip); already {
		return nil
	}
	var queues, now []string
	for _, job := range params.Jobs {
		if job.State == rivertype.JobStateAvailable && !slices.Contains(queues, job.Queue) {
			queues = append(queues, job.Queue)
		}
	}
	for _, queue := range queues {
		if t.afterCommit == nil || t.driver.hints.due(queue) {
			now = append(now, hint(queue))
			continue
		}
		t.afterCommit(func() { t.driver.hints.committed(queue) })
	}
	if len(now) == 0 {
		return nil
	}
	return t.ExecutorTx.NotifyMany(ctx, &riverdriver.NotifyManyParams{Payload: now, Schema: params.Schema, Topic: hintTopic})
}

// NotifyMany implements riverdriver.Executor.
func (t *inserting) NotifyMany(ctx context.Context, params *riverdriver.NotifyManyParams) error {
	if params.Topic == hintTopic && t.hinted {
		return nil
	}
	return t.ExecutorTx.NotifyMany(ctx, params)
}
