package store

import (
	"context"
	"errors"
	"fmt"
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
	Adds        Adds      // what its effect adds to the workspace's open work
	Pieces      int       // how many pieces of it, of AddsAny; 0: one
	Fleet       bool      // its effect writes what only the fleet may
	// Seal is the key under which the response is stored: that of one that holds a secret, and that only the same
	// caller gets again. nil: it is stored as it is.
	Seal *[32]byte
	// Caller is who submits it, where that was not looked up but is remembered: the transaction looks whether it is so. nil: it is
	// known.
	Caller *Caller
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

// Replay is the response stored for a submission made before, or ErrNotFound. ErrKeyReused when the
// one before had another body.
func (s *DB) Replay(ctx context.Context, sub Submission) (Response, error) {
	if sub.Key == "" {
		return Response{}, ErrNotFound
	}
	var resp Response
	var err error
	queue := func(batch *pgx.Batch) {
		queueStored(batch, sub).Query(func(rows pgx.Rows) error {
			resp, err = readStored(rows, sub)
			return nil
		})
	}
	if sub.inFleet() {
		if failed := s.pipelineInFleet(ctx, queue); failed != nil {
			return resp, fmt.Errorf("read stored response: %w", failed)
		}
	} else if failed := s.PipelineInWorkspace(ctx, sub.Workspace, queue); failed != nil {
		return resp, fmt.Errorf("read stored response: %w", failed)
	}
	return resp, err
}

// inFleet reports whether its transaction is one of the fleet.
func (sub *Submission) inFleet() bool { return sub.Fleet || sub.Workspace == uuid.Nil }

func queueStored(batch *pgx.Batch, sub Submission) *pgx.QueuedQuery {
	return batch.Queue(`
		select fingerprint, coalesce(status, 0), coalesce(location, ''), body from idempotency_keys
		 where scope = $1 and route = $2 and key = $3 and expires_at >= now()`, sub.Workspace, sub.Route, sub.Key)
}

// readStored reads what queueStored selects. A submission in steps that is not done is ErrNotFound.
func readStored(rows pgx.Rows, sub Submission) (Response, error) {
	resp, err := readRow(rows, sub)
	if err == nil && resp.Status == inSteps {
		return Response{}, fmt.Errorf("key %q: its submission is not done: %w", sub.Key, ErrNotFound)
	}
	return resp, err
}

func readRow(rows pgx.Rows, sub Submission) (Response, error) {
	var fingerprint []byte
	resp, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (resp Response, err error) {
		return resp, row.Scan(&fingerprint, &resp.Status, &resp.Location, &resp.Body)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return resp, fmt.Errorf("key %q: %w", sub.Key, ErrNotFound)
	}
	if err != nil {
		return resp, fmt.Errorf("read stored response: %w", err)
	}
	return answered(sub, fingerprint, resp)
}

// answered is a stored response as the answer to a submission: ErrKeyReused to one with another body.
func answered(sub Submission, fingerprint []byte, resp Response) (Response, error) {
	if [32]byte(fingerprint) != sub.Fingerprint {
		return Response{}, fmt.Errorf("key %q: %w", sub.Key, ErrKeyReused)
	}
	var err error
	resp.Replayed = true
	resp.Body, err = unseal(sub, resp.Body)
	return resp, err
}
