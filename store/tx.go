package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tx is a transaction of InWorkspace or InFleet.
type Tx struct {
	pgx.Tx
	outer       *Tx // of a part
	afterCommit []func()
	unaudited   bool
	place       Place
	whole       bool      // what runs last is all of it, so that it begins and commits by itself
	last        pgx.Batch // what runs with the commit
	lastWhat    []string  // names of its statements
	lastRan     int
}

// Unaudited has the transaction leave no audit entry: it turned out to change nothing.
func (t *Tx) Unaudited() { t.unaudited = true }

// AfterCommit runs fn once the transaction is committed, in the order of the calls; after a rollback
// fn is not run.
func (t *Tx) AfterCommit(fn func()) {
	for t.outer != nil {
		t = t.outer
	}
	t.afterCommit = append(t.afterCommit, fn)
}

// Part is a part of the transaction, whose own last statements run by RunLast.
func (t *Tx) Part() *Tx { return &Tx{Tx: t, outer: t} }

// Place is what the workspace has room for, in a submission that adds a tune.
func (t *Tx) Place() Place { return t.place }

// Last has a statement run when the transaction commits, in the order of the calls and in the same round trip; what names
// it in errors. Its error is that of the transaction.
func (t *Tx) Last(what, sql string, args ...any) {
	t.lastWhat = append(t.lastWhat, what)
	t.last.Queue(sql, args...).Exec(func(pgconn.CommandTag) error {
		t.lastRan++
		return nil
	})
}

// Unbegun reports whether the effect of a submission runs before its transaction, for which it can only leave statements: see InOne.
// Its time is that of Place, which stands for another until the commit.
func (t *Tx) Unbegun() bool { return t.whole }

// LastRow is Last of a statement that returns a row, which is read into values when it runs.
func (t *Tx) LastRow(what string, into []any, sql string, args ...any) {
	t.lastWhat = append(t.lastWhat, what)
	t.last.Queue(sql, args...).QueryRow(func(row pgx.Row) error {
		err := row.Scan(into...)
		if err == nil {
			t.lastRan++
		}
		return err
	})
}

// RunLast runs what was left for the commit now.
func (t *Tx) RunLast(ctx context.Context) error {
	batch := t.last
	t.last = pgx.Batch{}
	if err := t.SendBatch(ctx, &batch).Close(); err != nil {
		return t.lastError(err)
	}
	return nil
}

// lastError names the statement that failed.
func (t *Tx) lastError(err error) error {
	if t.lastRan < len(t.lastWhat) {
		return fmt.Errorf("%s: %w", t.lastWhat[t.lastRan], err)
	}
	return fmt.Errorf("commit: %w", err)
}

// WakingLast is the transaction for River's inserts: the statement that wakes the queue, whose result nobody needs, runs
// with the commit.
func (t *Tx) WakingLast() pgx.Tx { return wakingLast{t} }

type wakingLast struct{ *Tx }

// Exec implements pgx.Tx.
func (w wakingLast) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	w.Last("wake the queue", sql, args...)
	return pgconn.CommandTag{}, nil
}

// pipelined is a transaction that a batch has begun on a connection.
type pipelined struct{ *onConn }

type onConn = pgx.Conn // by a name that its method does not have

var errNested = errors.New("this transaction nests none and ends by itself")

func (p pipelined) Begin(context.Context) (pgx.Tx, error) { return nil, errNested }
func (p pipelined) Commit(context.Context) error          { return errNested }
func (p pipelined) Rollback(context.Context) error        { return errNested }
func (p pipelined) LargeObjects() pgx.LargeObjects        { panic(errNested) }
func (p pipelined) Conn() *pgx.Conn                       { return p.onConn }

// inPipelined runs fn in a transaction that the statements of begin begin, in one round trip. fn is given what came of them,
// and its error is that of the transaction. It leaves an audit entry as inTx does.
func (s *DB) inPipelined(ctx context.Context, pool *pgxpool.Pool, workspace uuid.UUID, begin func(*pgx.Batch), fn func(*Tx, error) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer conn.Release() // one that is in a transaction is closed
	tx, committed := &Tx{Tx: pipelined{conn.Conn()}}, false
	defer func() {
		if !committed {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if !conn.Conn().IsClosed() {
				_, _ = conn.Exec(ctx, `rollback`)
			}
		}
	}()
	batch := &pgx.Batch{}
	begin(batch)
	if err := fn(tx, conn.SendBatch(ctx, batch).Close()); err != nil {
		return err
	}
	if err := tx.commit(ctx, conn, workspace); err != nil {
		return err
	}
	committed = true
	for _, fn := range tx.afterCommit {
		fn()
	}
	return nil
}

// commit runs the last statements, the audit entry's if one is due, and the commit, in one round trip.
func (t *Tx) commit(ctx context.Context, conn *pgxpool.Conn, workspace uuid.UUID) error {
	var err error
	if audit := due(ctx); audit != nil && !t.unaudited {
		err = audit.commitAudited(ctx, conn, workspace, &t.last, t.whole)
	} else {
		if !t.whole {
			t.last.Queue(`commit`)
		}
		err = conn.SendBatch(ctx, &t.last).Close()
	}
	if err != nil && !errors.Is(err, ErrAudit) {
		return t.lastError(err)
	}
	return err
}

// queueBegin begins a transaction of a role.
func queueBegin(batch *pgx.Batch, role string) {
	batch.Queue(`begin`)
	batch.Queue(`set local role ` + role)
}
