package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
)

// RefusedScriptError says that a script may not be tuned, as its examination refused it.
type RefusedScriptError struct {
	Name   string // of the version
	Reason string
}

// Error implements error.
func (e *RefusedScriptError) Error() string {
	return fmt.Sprintf("the script %s was refused when it was examined: %s", e.Name, e.Reason)
}

// ScriptGoneError is ErrNotFound of a script that was deleted while work that names it was submitted.
type ScriptGoneError struct{ Name string }

// Error implements error.
func (e *ScriptGoneError) Error() string { return "script " + e.Name + ": " + ErrNotFound.Error() }

// Is says that it is ErrNotFound.
func (e *ScriptGoneError) Is(target error) bool { return target == ErrNotFound }

// HoldScript keeps the version of a script that new work names until the transaction ends, so that it is not
// deleted, nor refused, between the check of a request and the insert of its work. The error is a *ScriptGoneError
// when it was deleted before, and a *RefusedScriptError when it may not be tuned. nil: a built-in strategy.
func HoldScript(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, script *sweep.Script) error {
	batch := &pgx.Batch{}
	held := queueHoldScript(batch, workspace, script)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("hold script: %w", err)
	}
	return held()
}

// queueHoldScript is HoldScript in a batch; held is its error when the batch has run.
func queueHoldScript(batch *pgx.Batch, workspace uuid.UUID, script *sweep.Script) (held func() error) {
	if script == nil {
		return func() error { return nil }
	}
	var refusal *string
	found := false
	batch.Queue(holdScriptRow, workspace, script.ID).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&refusal}, func() error { found = true; return nil })
		return err
	})
	return func() error {
		switch {
		case !found:
			return &ScriptGoneError{Name: versionOf(script)}
		case refusal != nil:
			return &RefusedScriptError{Name: versionOf(script), Reason: *refusal}
		}
		return nil
	}
}

// holdScriptRow takes the row for share: what deletes it, or ends its examination, waits for the transaction and
// then sees what it inserted.
const holdScriptRow = `
	select case when status = 'refused' then coalesce(report -> 'examination' ->> 'refusal', '') end from strategies
	 where workspace_id = $1 and id = $2 and erased_at is null for share`

func versionOf(script *sweep.Script) string { return fmt.Sprintf("%s@%d", script.Name, script.Version) }

// HoldScriptOfRun is HoldScript for a single run: also one that was refused may be run.
func HoldScriptOfRun(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, script *sweep.Script) error {
	var refused *RefusedScriptError
	if err := HoldScript(ctx, tx, workspace, script); !errors.As(err, &refused) {
		return err
	}
	return nil
}
