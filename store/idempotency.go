package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Submission names one request to create work.
type Submission struct {
	Workspace   uuid.UUID // uuid.Nil: work of the fleet
	Route       string    // method and template
	Key         string    // X-Idempotency-Key; "" for work that is done each time
	Fingerprint [32]byte  // SHA-256 of the canonical body
	QueueDepth  int       // work the workspace may have waiting or being done; 0: any
	Fleet       bool      // its effect writes what only the fleet may
	// Seal is the key under which the response is stored: that of one that holds a secret, and that only the same
	// caller gets again. nil: it is stored as it is.
	Seal *[32]byte
	// Wait is how long it waits for another transaction with its key; 0: KeyWait.
	Wait time.Duration
}

// KeyWait is how long a submission waits for another one with its key.
const KeyWait = 5 * time.Second

// Response is what a submission is answered with, now and at every replay.
type Response struct {
	Status   int
	Location string
	Body     []byte
	Replayed bool
}

// Submit runs effect once for the submission's key. The claim of the key, the effect and the
// stored response are one transaction, so a crash leaves all or nothing. The same submission again
// gets the stored response; another body is ErrKeyReused; one that is still running after the
// submission's wait is ErrKeyBusy. A new one beyond the queue's depth is ErrQueueFull. An error stores nothing.
func (s *DB) Submit(ctx context.Context, sub Submission, effect func(context.Context, *Tx) (Response, error)) (Response, error) {
	var resp Response
	err := s.inScope(submitting(ctx), sub, func(tx *Tx) error {
		claimed, err := claimKey(ctx, tx, sub)
		if err != nil {
			return err
		}
		if !claimed {
			tx.Unaudited() // to look at the key has locked it
			if resp, err = storedResponse(ctx, tx, sub); errors.Is(err, ErrNotFound) {
				return fmt.Errorf("key %q was just pruned: %w", sub.Key, ErrKeyBusy)
			}
			return err
		}
		if err := checkQueue(ctx, tx, sub); err != nil {
			return err
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
		_, err = tx.Exec(ctx, `
			update idempotency_keys set status = $4, location = $5, body = $6
			 where scope = $1 and route = $2 and key = $3`,
			sub.Workspace, sub.Route, sub.Key, resp.Status, resp.Location, stored)
		if err != nil {
			return fmt.Errorf("store response: %w", err)
		}
		return nil
	})
	return resp, err
}

// Replay is the response stored for a submission made before, or ErrNotFound. ErrKeyReused when the
// one before had another body.
func (s *DB) Replay(ctx context.Context, sub Submission) (Response, error) {
	var resp Response
	if sub.Key == "" {
		return resp, ErrNotFound
	}
	err := s.inScope(ctx, sub, func(tx *Tx) (err error) {
		resp, err = storedResponse(ctx, tx, sub)
		return err
	})
	return resp, err
}

func (s *DB) inScope(ctx context.Context, sub Submission, fn func(*Tx) error) error {
	if sub.Fleet || sub.Workspace == uuid.Nil {
		return s.InFleet(ctx, fn)
	}
	return s.InWorkspace(ctx, sub.Workspace, fn)
}

// claimKey inserts the key, or takes it over when it has expired. It waits for a concurrent claim
// to commit or roll back, as long as the submission says.
func claimKey(ctx context.Context, tx pgx.Tx, sub Submission) (bool, error) {
	if sub.Key == "" {
		return true, nil
	}
	wait := max(1, cmp.Or(sub.Wait, KeyWait).Milliseconds()) // 0 would be no limit
	if _, err := tx.Exec(ctx, fmt.Sprintf(`set local lock_timeout = %d`, wait)); err != nil {
		return false, fmt.Errorf("set lock timeout: %w", err)
	}
	tag, err := tx.Exec(ctx, `
		insert into idempotency_keys as k (workspace_id, route, key, fingerprint)
		values (nullif($1, '00000000-0000-0000-0000-000000000000'::uuid), $2, $3, $4)
		on conflict (scope, route, key) do update
		   set fingerprint = excluded.fingerprint, status = null, location = null, body = null,
		       created_at = now(), expires_at = excluded.expires_at
		 where k.expires_at < now()`,
		sub.Workspace, sub.Route, sub.Key, sub.Fingerprint[:])
	if SQLState(err) == LockNotAvailable {
		return false, fmt.Errorf("key %q: %w", sub.Key, ErrKeyBusy)
	}
	if err != nil {
		return false, fmt.Errorf("claim key: %w", err)
	}
	if _, err := tx.Exec(ctx, `set local lock_timeout to default`); err != nil {
		return false, fmt.Errorf("reset lock timeout: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

func storedResponse(ctx context.Context, tx pgx.Tx, sub Submission) (Response, error) {
	resp := Response{Replayed: true}
	var fingerprint []byte
	err := tx.QueryRow(ctx, `
		select fingerprint, coalesce(status, 0), coalesce(location, ''), body from idempotency_keys
		 where scope = $1 and route = $2 and key = $3 and expires_at >= now()`,
		sub.Workspace, sub.Route, sub.Key).Scan(&fingerprint, &resp.Status, &resp.Location, &resp.Body)
	if errors.Is(err, pgx.ErrNoRows) {
		return resp, fmt.Errorf("key %q: %w", sub.Key, ErrNotFound)
	}
	if err != nil {
		return resp, fmt.Errorf("read stored response: %w", err)
	}
	if [32]byte(fingerprint) != sub.Fingerprint {
		return Response{}, fmt.Errorf("key %q: %w", sub.Key, ErrKeyReused)
	}
	resp.Body, err = unseal(sub, resp.Body)
	return resp, err
}
