package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// inSteps is the status of a key whose submission has begun and is not done: the row has what is left of it.
const inSteps = http.StatusProcessing

// Steps is a submission whose effect takes several transactions.
type Steps struct {
	// Begin returns what is to be done, as bytes. An error stores nothing.
	Begin func(context.Context, *Tx) ([]byte, error)
	// Step does some of it, and returns what is left; with a response nothing is.
	Step func(ctx context.Context, tx *Tx, left []byte) ([]byte, *Response, error)
	// Again reports whether a step that failed so is taken again; nil: none is.
	Again func(error) bool
}

// SubmitSteps is Submit of an effect that takes several transactions. Each commits with what is left to be done, under the
// submission's key. The same submission again, also after its answer was lost or its process was killed, continues with
// what is left, or gets the stored response. Two at once do one step after the other. Without a key it is done each time.
func (s *DB) SubmitSteps(ctx context.Context, sub Submission, steps Steps) (Response, error) {
	left, resp, err := s.beginSteps(ctx, sub, steps.Begin)
	if err != nil || resp != nil {
		return orNone(resp), err
	}
	for {
		var next []byte
		err := s.inStep(submitting(ctx), sub.Workspace, func(tx *Tx) (err error) {
			next = left
			if sub.Key != "" {
				if next, resp, err = lockSteps(ctx, tx, sub); err != nil || resp != nil {
					tx.Unaudited()
					return err
				}
			}
			if next, resp, err = steps.Step(ctx, tx, next); err != nil || sub.Key == "" {
				return err
			}
			return storeSteps(ctx, tx, sub, next, resp)
		})
		switch {
		case err != nil && steps.Again != nil && steps.Again(err):
			resp = nil
		case err != nil:
			return Response{}, err
		case resp != nil:
			return *resp, nil
		default:
			left = next
		}
	}
}

// inStep is Change of a submission: a change of the workspace that waits goes before it, see BeforeChange.
func (s *DB) inStep(ctx context.Context, workspace uuid.UUID, fn func(*Tx) error) error {
	lock := strings.ReplaceAll(changeLock, "$1", "'"+workspace.String()+"'")
	begin := beginTenant + "; select pg_advisory_xact_lock_shared" + lock + "; " + EnterWorkspace(workspace)
	return whileUndone(ctx, func() error { return s.inTx(ctx, s.spaces, workspace, begin, "commit", fn) })
}

func orNone(resp *Response) Response {
	if resp == nil {
		return Response{}
	}
	return *resp
}

// beginSteps claims the key and stores what is to be done. A submission that was made before has its response, if it is
// done.
func (s *DB) beginSteps(ctx context.Context, sub Submission, begin func(context.Context, *Tx) ([]byte, error)) (left []byte, resp *Response, err error) {
	err = s.inStep(WithoutAudit(ctx), sub.Workspace, func(tx *Tx) error {
		var claim claim
		batch := &pgx.Batch{}
		claim.queue(batch, sub)
		if failed := tx.SendBatch(ctx, batch).Close(); failed != nil {
			return claim.explain(sub, failed)
		}
		if !claim.made {
			left, resp, err = lockSteps(ctx, tx, sub)
			return err
		}
		if left, err = begin(ctx, tx); err != nil || sub.Key == "" {
			return err
		}
		return storeSteps(ctx, tx, sub, left, nil)
	})
	return left, resp, err
}

// lockSteps reads what is left of a submission, which no other transaction takes a step of meanwhile.
func lockSteps(ctx context.Context, tx pgx.Tx, sub Submission) (left []byte, resp *Response, err error) {
	_, err = tx.Exec(ctx, `select from idempotency_keys where scope = $1 and route = $2 and key = $3 for update`, sub.Workspace, sub.Route, sub.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("lock key: %w", err)
	}
	batch := &pgx.Batch{}
	var stored Response
	queueStored(batch, sub).Query(func(rows pgx.Rows) error {
		stored, err = readRow(rows, sub)
		return nil
	})
	if failed := tx.SendBatch(ctx, batch).Close(); failed != nil {
		return nil, nil, fmt.Errorf("read what is left: %w", failed)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil, fmt.Errorf("key %q was just pruned: %w", sub.Key, ErrKeyBusy)
	case err != nil:
		return nil, nil, err
	case stored.Status == inSteps:
		return stored.Body, nil, nil
	}
	return nil, &stored, nil
}

func storeSteps(ctx context.Context, tx pgx.Tx, sub Submission, left []byte, resp *Response) error {
	if resp == nil {
		resp = &Response{Status: inSteps, Body: left}
	}
	_, err := tx.Exec(ctx, `
		update idempotency_keys set status = $4, location = $5, body = $6
		 where scope = $1 and route = $2 and key = $3`, sub.Workspace, sub.Route, sub.Key, resp.Status, resp.Location, resp.Body)
	if err != nil {
		return fmt.Errorf("store what is left: %w", err)
	}
	return nil
}

// claim is what became of a key that is claimed by a statement of its own.
type claim struct{ waited, made bool }

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
	if !c.waited && SQLState(err) == LockNotAvailable {
		return fmt.Errorf("key %q: %w", sub.Key, ErrKeyBusy)
	}
	return fmt.Errorf("claim key: %w", Present(err))
}
