package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errNotJoined says that a submission which was sent in one round trip has to begin again, as any other: see queue_submission and
// queue_ingestion in migrations/sql.
var errNotJoined = errors.New("the submission is not as its one round trip expects")

// notJoined is its SQLSTATE.
const notJoined = "MR004"

// InOne is a function of the database that may begin a submission's transaction in one round trip with its rows: it returns the
// transaction's time, or fails with SQLSTATE MR004 where anything is otherwise than the effect assumes, which runs before it. Its
// parameters are the workspace, route, key, wait and depth of the submission, and two of its own.
type InOne struct {
	Function string
	Own      [2]any
}

// inOne is by what the submission may be sent in one round trip; nil: it has to begin first.
func (s *DB) inOne(b *beginning) *InOne {
	if _, prepares := s.jobs.(PreparedJobs); !prepares || b.sub.inFleet() || b.sub.Seal != nil {
		return nil
	}
	switch {
	case b.look.InOne != nil:
		if !s.unfit.has(b.sub.Workspace) {
			return b.look.InOne
		}
	case b.mayJoin() && s.taken.has(b.sub.Workspace):
		return &InOne{Function: "queue_submission", Own: [2]any{b.named.Datasets[0], b.named.Names[0].Text}}
	}
	return nil
}

// mayJoin reports whether the submission can be sent with queue_submission: work of a built-in strategy, over one dataset that
// is named, and not by a version.
func (b *beginning) mayJoin() bool {
	return b.entry.tune && b.named != nil && b.named.Script == nil && b.named.Intrabar == "" && len(b.named.Datasets) == 1 &&
		len(b.named.Names) == 1 && b.named.Names[0].Text != "" && b.named.Names[0].Series == ""
}

// remember notes what the submission has found, for those that follow. What was submitted before says nothing of now, and other
// work nothing of the cap.
func (s *DB) remember(b *beginning) {
	if !b.claimed {
		return
	}
	if b.entry.tune {
		s.taken.note(b.sub.Workspace, b.entry.waits())
	}
	if b.look.InOne != nil {
		alone := b.sub.enters() && (!b.entry.shared || b.entry.full() != nil)
		s.unfit.note(b.sub.Workspace, alone || !b.look.Fits())
	}
}

// join submits in one round trip. The effect runs before it, and has to leave all that it writes for the commit. It knows
// that a tune has to wait, and not the time of the transaction, which is put where its response has unknownTime. Whatever is
// otherwise than the function expects is errNotJoined, also an effect that fails: what the key was answered before comes first.
func (s *DB) join(ctx context.Context, begin *beginning, by *InOne, effect func(context.Context, *Tx) (Response, error)) (Response, error) {
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
	begin.queueInOne(&batch, by, func(row pgx.Row) error {
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
	tx.place.At = at
	for _, fn := range tx.afterCommit {
		fn()
	}
	return resp, nil
}

// unknownTime stands for the time of a transaction that has not begun. Postgres has no times so exact.
func unknownTime() time.Time { return time.Date(1, 1, 1, 0, 0, 0, 123456789, time.UTC) }

// ownTime is the time of the transaction as JSON of ours has times.
const ownTime = `convert_to(rtrim(rtrim(to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z', 'UTF8')`

// queueInOne begins the transaction by the function.
func (b *beginning) queueInOne(batch *pgx.Batch, by *InOne, read func(pgx.Row) error) {
	sql, args := `select `+by.Function+`($1, $2, $3, $4, $5, $6, $7), `,
		[]any{b.sub.Workspace, b.sub.Route, b.sub.Key, b.wait(), b.entry.depth, by.Own[0], by.Own[1]}
	if caller := b.sub.Caller; caller != nil { // which is read once the workspace is entered
		sql += `known_caller($1, $8, $9, $10, $11, $12, $13, $14)`
		args = append(args, caller.args(b.sub.Workspace)[1:]...)
	} else {
		sql += `true`
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
