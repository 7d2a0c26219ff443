package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errNotJoined says that a submission which was to join a queue has to begin again, as any other: see queue_submission in
// migrations/sql.
var errNotJoined = errors.New("the submission does not only join the queue")

// notJoined is its SQLSTATE.
const notJoined = "MR004"

// mayJoin reports whether the submission can be sent with queue_submission: work of a built-in strategy, over one dataset that
// is named, and not by a version.
func (b *beginning) mayJoin() bool {
	return b.look == nil && b.entry.tune && !b.sub.inFleet() && b.sub.Seal == nil &&
		b.named != nil && b.named.Script == nil && b.named.Intrabar == "" && len(b.named.Datasets) == 1 &&
		len(b.named.Names) == 1 && b.named.Names[0].Text != "" && b.named.Names[0].Series == ""
}

// join submits to a workspace whose cap was taken a moment ago, in one round trip. The effect runs before it, and has to
// leave all that it writes for the commit. It knows that the work has to wait, and not the time of the transaction, which is
// put where its response has unknownTime. Whatever it is that does not only join the queue is errNotJoined, also an
// effect that fails: what the key was answered before comes first.
func (s *DB) join(ctx context.Context, begin *beginning, effect func(context.Context, *Tx) (Response, error)) (Response, error) {
	ctx = submitting(ctx)
	forget := auditAgain(ctx)
	sub := begin.sub
	tx := &Tx{Tx: unbegun{}, whole: true, place: Place{Active: 1, At: unknownTime()}}
	resp, err := effect(ctx, tx)
	parts := bytes.Split(resp.Body, []byte(unknownTime().Format(time.RFC3339Nano)))
	if err != nil || len(parts) > 2 {
		forget()
		return Response{}, errNotJoined
	}
	auditMade(ctx, resp)
	if sub.Key != "" {
		tx.keep(sub, resp, parts...)
	}
	conn, err := s.spaces.Acquire(ctx)
	if err != nil {
		return Response{}, fmt.Errorf("begin: %w", err)
	}
	defer conn.Release()
	// What a batch sends is one transaction, and the role lasts as long.
	var at time.Time
	var refused error
	batch := pgx.Batch{}
	batch.Queue(`select set_config('role', $1, true)`, WorkspaceRole)
	begin.queueJoin(&batch, func(row pgx.Row) error {
		refused = row.Scan(&at, nil)
		return refused
	})
	batch.QueuedQueries = append(batch.QueuedQueries, tx.last.QueuedQueries...)
	tx.last = batch
	switch err := sub.Caller.found(tx.commit(ctx, conn, sub.Workspace)); {
	case errors.Is(err, ErrCaller):
		forget()
		return Response{}, err
	case SQLState(refused) == notJoined:
		forget()
		return Response{}, errNotJoined
	case refused != nil:
		return Response{}, sub.stored(begin.explain(refused))
	case err != nil:
		return Response{}, sub.stored(err)
	}
	if len(parts) > 1 {
		resp.Body = bytes.Join(parts, []byte(at.UTC().Format(time.RFC3339Nano)))
	}
	for _, fn := range tx.afterCommit {
		fn()
	}
	return resp, nil
}

// unknownTime stands for the time of a transaction that has not begun. Postgres has no times so exact.
func unknownTime() time.Time { return time.Date(1, 1, 1, 0, 0, 0, 123456789, time.UTC) }

// ownTime is the time of the transaction as JSON of ours has times.
const ownTime = `convert_to(rtrim(rtrim(to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z', 'UTF8')`

// queueJoin begins the transaction of a submission to a workspace whose cap was taken a moment ago.
func (b *beginning) queueJoin(batch *pgx.Batch, read func(pgx.Row) error) {
	sql, args := `select queue_submission($1, $2, $3, $4, $5, $6, $7), true`,
		[]any{b.sub.Workspace, b.sub.Route, b.sub.Key, b.wait(), b.entry.depth, b.named.Datasets[0], b.named.Names[0].Text}
	if caller := b.sub.Caller; caller != nil { // which is read once the workspace is entered
		sql, args = `select queue_submission($1, $2, $3, $4, $5, $6, $7), known_caller($1, $8, $9, $10, $11, $12, $13, $14)`,
			append(args, caller.args(b.sub.Workspace)[1:]...)
	}
	batch.Queue(sql, args...).QueryRow(read)
}

// unbegun is the transaction of an effect that runs before it begins: it can only leave statements for the commit. An effect that
// asks more of it fails, and runs again in one that has begun.
type unbegun struct{ pgx.Tx }

// Begin implements pgx.Tx.
func (unbegun) Begin(context.Context) (pgx.Tx, error) { return nil, errNotJoined }

// Exec implements pgx.Tx.
func (unbegun) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errNotJoined
}

// Query implements pgx.Tx.
func (unbegun) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errNotJoined }

// QueryRow implements pgx.Tx.
func (t unbegun) QueryRow(ctx context.Context, _ string, _ ...any) pgx.Row {
	return t.SendBatch(ctx, &pgx.Batch{}).QueryRow()
}

// SendBatch implements pgx.Tx.
func (unbegun) SendBatch(_ context.Context, batch *pgx.Batch) pgx.BatchResults {
	return pgx.FailedBatchResults(batch, errNotJoined)
}

// CopyFrom implements pgx.Tx.
func (unbegun) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	return 0, errNotJoined
}

// waits reports whether a tune was found to have to wait for another to end, by a transaction that entered with others.
func (e *entry) waits() bool { return e.tune && e.shared && e.Room <= 0 }

// takenSpaces are workspaces whose cap was taken when something was submitted to them last. It is a guess: a submission
// that is begun by it looks whether it still holds. It is safe for concurrent use.
type takenSpaces struct {
	mu sync.Mutex
	is map[uuid.UUID]struct{}
}

// mostTaken is how many of them are kept; beyond it all are forgotten, which costs each a statement.
const mostTaken = 10_000

func (t *takenSpaces) has(space uuid.UUID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.is[space]
	return ok
}

func (t *takenSpaces) note(space uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.is == nil || len(t.is) >= mostTaken {
		t.is = map[uuid.UUID]struct{}{}
	}
	t.is[space] = struct{}{}
}

func (t *takenSpaces) forget(space uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.is, space)
}
