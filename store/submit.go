package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Submit runs effect once for the submission's key. The claim of the key, the effect and the
// stored response are one transaction, so a crash leaves all or nothing; the effect is called again
// when the server undoes it, see Change. The same submission again
// gets the stored response; another body is ErrKeyReused; one that is still running after the
// submission's wait is ErrKeyBusy. A new one beyond the queue's depth is ErrQueueFull. An error stores nothing.
func (s *DB) Submit(ctx context.Context, sub Submission, effect func(context.Context, *Tx) (Response, error)) (Response, error) {
	return s.submitNaming(ctx, sub, nil, Look{}, effect)
}

// Look is what a submission looks at as its transaction begins.
type Look struct {
	// Queue has the round trip that begins the transaction look, once the submission has entered the workspace. It runs
	// too where the key was claimed before and the effect does not. nil: at nothing.
	Queue func(*pgx.Batch)
	// InOne may begin the transaction with its rows instead; the effect is then called with nothing looked at, see Tx.Unbegun. nil: nothing may.
	InOne *InOne
	// Fits reports, once Queue has looked, whether InOne would have begun it: if not, the next one of the workspace is not tried so.
	Fits func() bool
}

// SubmitLooking is Submit that looks at something besides.
func (s *DB) SubmitLooking(ctx context.Context, sub Submission, look Look,
	effect func(context.Context, *Tx) (Response, error),
) (Response, error) {
	return s.submitNaming(ctx, sub, nil, look, effect)
}

// SubmitWork is Submit of at most one tune or walk-forward. The round trip that begins the transaction holds what it
// names, so that neither is deleted before the effect inserts the work; the errors of Named.Hold come before the effect.
func (s *DB) SubmitWork(ctx context.Context, sub Submission, named Named,
	effect func(context.Context, *Tx) (Response, error),
) (Response, error) {
	sub.Adds = AddsTune
	return s.submitNaming(ctx, sub, &named, Look{}, effect)
}

// submitNaming is Submit of work that names something; nil: of any other.
func (s *DB) submitNaming(ctx context.Context, sub Submission, named *Named, look Look,
	effect func(context.Context, *Tx) (Response, error),
) (Response, error) {
	var resp Response
	forget := auditAgain(ctx)
	err := whileUndone(ctx, func() (err error) {
		resp, err = s.submitOnce(ctx, sub, named, look, effect)
		return err
	})
	if err != nil {
		forget() // it may be submitted again
	}
	return resp, err
}

func (s *DB) submitOnce(ctx context.Context, sub Submission, named *Named, look Look,
	effect func(context.Context, *Tx) (Response, error),
) (Response, error) {
	e := entry{alone: sub.Adds == AddsAny, tune: sub.Adds == AddsTune, depth: sub.QueueDepth, adds: sub.Pieces}
	begin := &beginning{sub: sub, entry: &e, named: named, look: look}
	if one := s.inOne(begin); one != nil {
		if resp, err := s.join(ctx, begin, one, effect); !errors.Is(err, errNotJoined) {
			return resp, err
		}
	}
	resp, err := s.submit(ctx, begin, effect)
	if errors.Is(err, errEnterAlone) {
		e = entry{alone: true, tune: e.tune, depth: e.depth, adds: e.adds}
		begin = &beginning{sub: sub, entry: &e, named: named, look: look}
		resp, err = s.submit(ctx, begin, effect)
	}
	s.remember(begin)
	return resp, err
}

// enters reports whether what is open in the workspace matters to the submission.
func (sub *Submission) enters() bool {
	return sub.Workspace != uuid.Nil && (sub.QueueDepth > 0 || sub.Adds == AddsTune)
}

func (s *DB) submit(ctx context.Context, begin *beginning, effect func(context.Context, *Tx) (Response, error)) (Response, error) {
	var resp Response
	sub := begin.sub
	pool, role, workspace := s.spaces, WorkspaceRole, sub.Workspace
	if sub.inFleet() {
		pool, role, workspace = s.pool, FleetRole, uuid.Nil
	}
	err := s.inPipelined(submitting(ctx), pool, workspace, func(batch *pgx.Batch) {
		queueBegin(batch, role)
		begin.queue(batch)
		sub.Caller.queue(batch, sub.Workspace)
		if begin.look.Queue != nil {
			begin.look.Queue(batch)
		}
	}, func(tx *Tx, failed error) (err error) {
		if failed = sub.Caller.found(failed); errors.Is(failed, ErrCaller) {
			return failed
		}
		if failed != nil {
			return begin.explain(failed)
		}
		if !begin.claimed {
			tx.Unaudited() // to look at the key has locked it
			resp, err = begin.stored()
			return err
		}
		if err := begin.refused(); err != nil {
			return err
		}
		if sub.enters() {
			tx.place = begin.entry.Place
		}
		if resp, err = effect(ctx, tx); err != nil {
			return err
		}
		auditMade(ctx, resp)
		if sub.Key == "" {
			return nil
		}
		stored, err := seal(sub, resp.Body)
		if err != nil {
			return err
		}
		tx.keep(sub, resp, stored)
		return nil
	})
	return resp, sub.stored(err)
}

// auditMade says in the audit entry what a submission has made.
func auditMade(ctx context.Context, resp Response) {
	if resp.Location != "" {
		AuditEntityOf(ctx, "", path.Base(resp.Location))
	}
}

// keep leaves for the commit that the response is stored under its key, of a body in one part, or in two between which the
// transaction's time is written.
func (t *Tx) keep(sub Submission, resp Response, body ...[]byte) {
	stored := `$7`
	if len(body) > 1 {
		stored = `$7::bytea || ` + ownTime + ` || $8::bytea`
	}
	args := []any{sub.Workspace, sub.Route, sub.Key, sub.Fingerprint[:], resp.Status, resp.Location}
	for _, part := range body {
		args = append(args, part)
	}
	t.Last("store response", `
		insert into idempotency_keys (workspace_id, route, key, fingerprint, status, location, body)
		values (nullif($1, '00000000-0000-0000-0000-000000000000'::uuid), $2, $3, $4, $5, $6, `+stored+`)`, args...)
}

// stored has the error of a row that another transaction claimed the key by, without its lock, be ErrKeyBusy.
func (sub *Submission) stored(err error) error {
	var from *pgconn.PgError
	if !errors.As(err, &from) {
		return err
	}
	if from.Code == UniqueViolation && from.ConstraintName == "idempotency_keys_pkey" ||
		from.Code == LockNotAvailable && strings.Contains(from.Where, "idempotency_keys") {
		return fmt.Errorf("key %q: %w: %w", sub.Key, ErrKeyBusy, err)
	}
	return err
}

// beginning is what begins a submission's transaction, once it has its role: open_submission in migrations/sql.
type beginning struct {
	sub   Submission
	entry *entry
	named *Named
	look  Look

	claimed                 bool
	fingerprint, body       []byte // of a submission with its key that was made before; nil: it was just pruned
	status                  *int
	location, scriptRefusal *string
	scriptThere             bool
	setsGone, setsMoved     int
}

// wait is how many milliseconds the submission waits for its key.
func (b *beginning) wait() int64 {
	return max(1, cmp.Or(b.sub.Wait, KeyWait).Milliseconds()) // 0 would be no limit
}

func (b *beginning) queue(batch *pgx.Batch) {
	var script *string
	var sets []uuid.UUID
	var names, series []*string
	var versions []*int
	if b.named != nil {
		if b.named.Script != nil {
			script = &b.named.Script.ID
		}
		sets = b.named.datasets()
		names, series, versions = b.named.columns(len(sets))
	}
	batch.Queue(`select * from open_submission($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		b.sub.Workspace, b.sub.inFleet(), b.sub.Route, b.sub.Key, b.sub.Fingerprint[:], b.wait(),
		b.sub.enters(), b.entry.alone, b.entry.tune, b.entry.depth, script, sets, names, series, versions).QueryRow(func(row pgx.Row) error {
		return row.Scan(append(append([]any{&b.claimed, &b.fingerprint, &b.status, &b.location, &b.body}, b.entry.columns()...),
			&b.scriptThere, &b.scriptRefusal, &b.setsGone, &b.setsMoved)...)
	})
}

// explain is an error of the round trip that begins the transaction.
func (b *beginning) explain(err error) error {
	var from *pgconn.PgError
	// What another lock was waited for in vain does not name the table of keys.
	if SQLState(err) == LockNotAvailable && errors.As(err, &from) && strings.Contains(from.Where, "idempotency_keys") {
		return fmt.Errorf("key %q: %w", b.sub.Key, ErrKeyBusy)
	}
	return fmt.Errorf("begin submission: %w", Present(err))
}

// stored is the response to a submission with its key that was made before.
func (b *beginning) stored() (Response, error) {
	if b.fingerprint == nil || *b.status == inSteps {
		return Response{}, fmt.Errorf("key %q was just pruned, or its submission is not done: %w", b.sub.Key, ErrKeyBusy)
	}
	return answered(b.sub, b.fingerprint, Response{Status: *b.status, Location: *b.location, Body: b.body})
}

// refused is why the submission may not have its effect.
func (b *beginning) refused() error {
	if b.sub.enters() {
		if err := b.entry.judge(b.sub.Workspace); err != nil {
			return err
		}
		if err := b.entry.full(); err != nil {
			return err
		}
	}
	switch {
	case b.named == nil:
		return nil
	case b.named.Script != nil && !b.scriptThere:
		return &ScriptGoneError{Name: versionOf(b.named.Script)}
	case b.named.Script != nil && b.scriptRefusal != nil:
		return &RefusedScriptError{Name: versionOf(b.named.Script), Reason: *b.scriptRefusal}
	case b.setsGone > 0:
		return &DatasetGoneError{}
	case b.setsMoved > 0:
		return ErrMoved
	}
	return nil
}
