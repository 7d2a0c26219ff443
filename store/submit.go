package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Submit runs effect once for the submission's key. The claim of the key, the effect and the
// stored response are one transaction, so a crash leaves all or nothing. The same submission again
// gets the stored response; another body is ErrKeyReused; one that is still running after the
// submission's wait is ErrKeyBusy. A new one beyond the queue's depth is ErrQueueFull. An error stores nothing.
func (s *DB) Submit(ctx context.Context, sub Submission, effect func(context.Context, *Tx) (Response, error)) (Response, error) {
	return s.submitHolding(ctx, sub, func(*pgx.Batch) {}, effect)
}

// SubmitWork is Submit of at most one tune or walk-forward. The round trip that begins the transaction holds what it
// names, so that neither is deleted before the effect inserts the work; the errors of Named.Hold come before the effect.
func (s *DB) SubmitWork(ctx context.Context, sub Submission, named Named,
	effect func(context.Context, *Tx) (Response, error),
) (Response, error) {
	sub.Adds = AddsTune
	var held func() error
	return s.submitHolding(ctx, sub, func(batch *pgx.Batch) {
		held = named.queue(batch, sub.Workspace)
	}, func(ctx context.Context, tx *Tx) (Response, error) {
		if err := held(); err != nil {
			return Response{}, err
		}
		return effect(ctx, tx)
	})
}

// submitHolding is Submit of an effect that needs statements to have run before it, such as those that hold what it names.
// hold queues them for the round trip that begins the transaction, and is called again when that begins again.
func (s *DB) submitHolding(ctx context.Context, sub Submission, hold func(*pgx.Batch),
	effect func(context.Context, *Tx) (Response, error),
) (Response, error) {
	e := entry{alone: sub.Adds == AddsAny, tune: sub.Adds == AddsTune, depth: sub.QueueDepth, adds: sub.Pieces}
	resp, err := s.submit(ctx, sub, &e, hold, effect)
	if errors.Is(err, errEnterAlone) {
		e = entry{alone: true, tune: e.tune, depth: e.depth, adds: e.adds}
		resp, err = s.submit(ctx, sub, &e, hold, effect)
	}
	return resp, err
}

// enters reports whether what is open in the workspace matters to the submission.
func (sub *Submission) enters() bool {
	return sub.Workspace != uuid.Nil && (sub.QueueDepth > 0 || sub.Adds == AddsTune)
}

func (s *DB) submit(ctx context.Context, sub Submission, e *entry, hold func(*pgx.Batch), effect func(context.Context, *Tx) (Response, error)) (Response, error) {
	var resp Response
	pool, role := s.spaces, WorkspaceRole
	if sub.inFleet() {
		pool, role = s.pool, FleetRole
	}
	var claim claim
	begin := func(batch *pgx.Batch) {
		queueBegin(batch, role)
		if sub.Workspace != uuid.Nil {
			claim.held = true
			batch.Queue(`select pg_advisory_xact_lock_shared`+changeLock, sub.Workspace).Exec(func(pgconn.CommandTag) error {
				claim.held = false
				return nil
			})
		}
		if !sub.inFleet() {
			queueWorkspace(batch, sub.Workspace)
		}
		claim.queue(batch, sub)
		if sub.enters() {
			e.queue(batch, sub.Workspace)
		}
		hold(batch)
	}
	workspace := sub.Workspace
	if sub.inFleet() {
		workspace = uuid.Nil
	}
	err := s.inPipelined(submitting(ctx), pool, workspace, begin, func(tx *Tx, begun error) (err error) {
		if begun != nil {
			return claim.explain(sub, begun)
		}
		if !claim.made {
			tx.Unaudited() // to look at the key has locked it
			if resp, err = storedResponse(ctx, tx, sub); errors.Is(err, ErrNotFound) {
				return fmt.Errorf("key %q was just pruned: %w", sub.Key, ErrKeyBusy)
			}
			return err
		}
		if sub.enters() {
			if err := e.judge(sub.Workspace); err != nil {
				return err
			}
			if err := e.full(); err != nil {
				return err
			}
			tx.place = e.Place
		}
		if resp, err = effect(ctx, tx); err != nil {
			return err
		}
		if resp.Location != "" {
			AuditEntityOf(ctx, "", path.Base(resp.Location))
		}
		if sub.Key == "" {
			return nil
		}
		stored, err := seal(sub, resp.Body)
		if err != nil {
			return err
		}
		tx.Last("store response", `
			update idempotency_keys set status = $4, location = $5, body = $6
			 where scope = $1 and route = $2 and key = $3`,
			sub.Workspace, sub.Route, sub.Key, resp.Status, resp.Location, stored)
		return nil
	})
	return resp, err
}

// claim is what became of a submission's key. While it is held, a change of the workspace goes first.
type claim struct{ held, waited, made bool }

// queue has a batch insert the key, or take it over when it has expired. It waits for a concurrent claim
// to commit or roll back, as long as the submission says.
func (c *claim) queue(batch *pgx.Batch, sub Submission) {
	if sub.Key == "" {
		c.waited, c.made = true, true
		return
	}
	wait := max(1, cmp.Or(sub.Wait, KeyWait).Milliseconds()) // 0 would be no limit
	batch.Queue(`select set_config('lock_timeout', $1, true)`, fmt.Sprint(wait))
	batch.Queue(`
		insert into idempotency_keys as k (workspace_id, route, key, fingerprint)
		values (nullif($1, '00000000-0000-0000-0000-000000000000'::uuid), $2, $3, $4)
		on conflict (scope, route, key) do update
		   set fingerprint = excluded.fingerprint, status = null, location = null, body = null,
		       created_at = now(), expires_at = excluded.expires_at
		 where k.expires_at < now()
		returning true`,
		sub.Workspace, sub.Route, sub.Key, sub.Fingerprint[:]).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&c.made}, func() error { return nil })
		c.waited = err == nil
		return err
	})
	batch.Queue(`set local lock_timeout to default`)
}

// explain is an error of the round trip that claims the key.
func (c *claim) explain(sub Submission, err error) error {
	switch {
	case c.waited || c.held:
		return fmt.Errorf("begin submission: %w", Present(err))
	case SQLState(err) == LockNotAvailable:
		return fmt.Errorf("key %q: %w", sub.Key, ErrKeyBusy)
	}
	return fmt.Errorf("claim key: %w", Present(err))
}

func storedResponse(ctx context.Context, tx pgx.Tx, sub Submission) (resp Response, err error) {
	batch := &pgx.Batch{}
	queueStored(batch, sub).Query(func(rows pgx.Rows) error {
		resp, err = readStored(rows, sub)
		return nil
	})
	if failed := tx.SendBatch(ctx, batch).Close(); failed != nil {
		return resp, fmt.Errorf("read stored response: %w", failed)
	}
	return resp, err
}
