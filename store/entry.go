package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Adds is what the effect of a submission adds to the open work of its workspace.
type Adds int

const (
	// AddsAny is any number of pieces of work, or none.
	AddsAny Adds = iota
	// AddsOne is at most one piece of work, which takes no place of the cap.
	AddsOne
	// AddsTune is at most one tune or walk-forward.
	AddsTune
)

// Place is what a workspace has room for.
type Place struct {
	Room   int       // how many more tunes it may have running
	Active int       // how many it has
	At     time.Time // when the transaction began

	trials trials // see Tx.TakeTrials
}

// entry is how a transaction enters a workspace's admission.
//
// What ends work, and so makes room, enters alone: it holds the workspace's admission lock until it ends. So does what
// may be admitted, or counts against a quota of trials. But most submissions come to a workspace without a quota, whose
// cap is taken and whose queue is far from full, and these enter together, with the lock shared. As nothing ends meanwhile, such a one knows that its tune has to wait, and the
// one that ends next, which waits for the lock, sees the tune and admits it. And as there are no more transactions
// than connections, the queue stays within its depth if it has room for a piece of work of each. The lock is one that
// is granted in the order of the requests, so that a stream of submissions does not hold up what ends.
//
// Before the lock comes a share of the workspace's row, which inserts take anyway: whatever changes the row and then
// enters waits for us before it has the lock that we might need.
type entry struct {
	alone bool
	tune  bool // needs to know of places
	depth int  // 0: any
	adds  int  // pieces of work; 0: one
	own   bool // the workspace's own depth goes first
	Place
	found  bool
	shared bool
	most   int // depth that holds
	open   int
	sure   bool // what was counted holds although others enter too
}

// errEnterAlone says that a transaction which entered with others has to begin again, and enter alone.
var errEnterAlone = errors.New("admission depends on others that are entering")

// queue has a batch enter, by enter_admission in migrations/sql; what is found is known when its results are read.
func (e *entry) queue(batch *pgx.Batch, workspace uuid.UUID) {
	batch.Queue(`select * from enter_admission($1, $2, $3, $4, $5)`, workspace, e.alone, e.tune, e.depth, e.own).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, e.columns(), func() error { return nil })
		return err
	})
}

// columns are where the results of enter_admission go.
func (e *entry) columns() []any {
	t := &e.trials
	return []any{&e.found, &e.shared, &e.Room, &e.Active, &e.At, &e.most, &e.open, &e.sure, &t.limit, &t.day, &t.used, &t.left}
}

// changeLock is taken by a transaction that changes a workspace's row, alone, and by each submission, shared, before
// anything else. The row is changed when nobody has a share of it, and submissions can follow one another so closely that
// there is always one that has. This lock is granted in the order of the requests: submissions that begin later wait.
const changeLock = `(hashtextextended('millrace change ' || $1::uuid::text, 0))`

// BeforeChange begins a transaction that changes the row of a workspace: those that submit to it end before, or begin
// after it.
func BeforeChange(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock`+changeLock, workspace); err != nil {
		return fmt.Errorf("wait for submissions to workspace %s: %w", workspace, err)
	}
	return nil
}

func (e *entry) enter(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
	batch := &pgx.Batch{}
	e.queue(batch, workspace)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("enter workspace %s: %w", workspace, err)
	}
	return e.judge(workspace)
}

// judge is an error when the workspace is not there, or when what was counted may not hold.
func (e *entry) judge(workspace uuid.UUID) error {
	switch {
	case !e.found:
		return fmt.Errorf("workspace %s: %w", workspace, ErrNotFound)
	case e.shared && (e.tune && (e.Room > 0 || e.trials.limit > 0) || e.most > 0 && !e.sure):
		return errEnterAlone
	}
	return nil
}

// full is ErrQueueFull when what is added would be beyond the depth.
func (e *entry) full() error {
	if e.most > 0 && e.open+max(e.adds, 1) > e.most {
		return fmt.Errorf("%d of %d pieces of work are open, and %d more are asked for: %w", e.open, e.most, max(e.adds, 1), ErrQueueFull)
	}
	return nil
}
