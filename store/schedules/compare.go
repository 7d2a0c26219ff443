package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Result is what of a tune, walk-forward or ingestion is compared. It is kept when they are deleted.
type Result struct {
	Dataset string             `json:"dataset,omitempty"` // with its version
	Params  map[string]float64 `json:"params"`            // of the winner; nil: no trial passed, or of an ingestion
	Score   *float64           `json:"score"`
	DSR     *float64           `json:"dsr"` // deflated Sharpe ratio
	PBO     *float64           `json:"pbo"` // probability of backtest overfitting; nil of a walk-forward
	Verdict string             `json:"verdict,omitempty"`
	// Of an ingestion: created, replaced or unchanged, and the chunks of its document.
	Outcome string `json:"outcome,omitempty"`
	Chunks  int    `json:"chunks,omitempty"`
}

// Difference is one figure that differs between two results.
type Difference struct {
	Field  string `json:"field"` // as in score or params.fast
	Before any    `json:"before"`
	After  any    `json:"after"`
}

// Differences are what differs between two results, in a fixed order; empty when nothing does. That the dataset has
// another version, or an ingestion found its document as it was, is not a difference.
func Differences(before, after Result) []Difference {
	found := []Difference{}
	names := slices.Sorted(maps.Keys(before.Params))
	for name := range after.Params {
		if _, both := before.Params[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		was, had := before.Params[name]
		is, has := after.Params[name]
		if had != has || was != is {
			found = append(found, Difference{"params." + name, orNil(was, had), orNil(is, has)})
		}
	}
	for _, figure := range []struct {
		name    string
		was, is *float64
	}{{"score", before.Score, after.Score}, {"dsr", before.DSR, after.DSR}, {"pbo", before.PBO, after.PBO}} {
		if (figure.was == nil) != (figure.is == nil) || figure.was != nil && *figure.was != *figure.is {
			found = append(found, Difference{figure.name, deref(figure.was), deref(figure.is)})
		}
	}
	if before.Verdict != after.Verdict {
		found = append(found, Difference{"verdict", orNil(before.Verdict, before.Verdict != ""), orNil(after.Verdict, after.Verdict != "")})
	}
	if after.Outcome != "" && after.Outcome != "unchanged" {
		found = append(found, Difference{"content", before.Outcome, after.Outcome})
		if before.Chunks != after.Chunks {
			found = append(found, Difference{"chunks", before.Chunks, after.Chunks})
		}
	}
	return found
}

func orNil[T any](value T, is bool) any {
	if !is {
		return nil
	}
	return value
}

func deref(value *float64) any {
	if value == nil {
		return nil
	}
	return *value
}

// Outcome is how the work of a slot ended.
type Outcome struct {
	State  State // Completed, Failed or Canceled
	Reason string
	Result *Result // of Completed
}

// Finish ends a slot in the transaction that completes the job. A result is compared with the schedule's result before.
// ErrEnded when the slot had ended before.
func (s *Store) Finish(ctx context.Context, lease store.Lease, id uuid.UUID, outcome Outcome) error {
	_, found, err := s.Slot(ctx, lease.Workspace, id)
	if err != nil {
		return err
	}
	return s.db.CompleteUnderLease(ctx, lease, found.ScheduleID, func(tx *store.Tx) error {
		schedule, slot, err := readSlot(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if slot.State != Due && slot.State != Running {
			return fmt.Errorf("slot %s is %s: %w", id, slot.State, store.ErrEnded)
		}
		slot.State, slot.Result = outcome.State, outcome.Result
		if outcome.Reason != "" {
			slot.Reason = &outcome.Reason
		}
		if slot.Result != nil {
			if err := compare(ctx, tx, slot); err != nil {
				return err
			}
		}
		result, err := encoded(slot.Result != nil, slot.Result)
		if err != nil {
			return err
		}
		changes, err := encoded(slot.Changes != nil, slot.Changes)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			update schedule_slots
			   set state = $2, reason = $3, result = $4, changes = $5, compared_id = $6, ended_at = clock_timestamp()
			 where id = $1`, id, string(slot.State), slot.Reason, result, changes, slot.ComparedID)
		if err != nil {
			return fmt.Errorf("end slot %s: %w", id, err)
		}
		return s.ended(ctx, tx, schedule, slot)
	})
}

func encoded(is bool, value any) (json.RawMessage, error) {
	if !is {
		return nil, nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return raw, nil
}

// compare sets what differs from the result before.
func compare(ctx context.Context, tx pgx.Tx, slot *Slot) error {
	var before Result
	var id uuid.UUID
	err := tx.QueryRow(ctx, `
		select id, result from schedule_slots
		 where schedule_id = $1 and state = 'completed' and result is not null order by ended_at desc limit 1`, slot.ScheduleID).Scan(&id, &before)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the result before: %w", err)
	}
	slot.ComparedID, slot.Changes = &id, Differences(before, *slot.Result)
	return nil
}

// ended counts failures in a row and writes the events of a slot's end.
func (s *Store) ended(ctx context.Context, tx *store.Tx, schedule *Schedule, slot *Slot) error {
	err := tx.QueryRow(ctx, `
		update schedules set failures = case $2 when 'completed' then 0 when 'failed' then failures + 1 else failures end
		 where id = $1 returning failures`, schedule.ID, string(slot.State)).Scan(&schedule.Failures)
	if err != nil {
		return fmt.Errorf("count failures of schedule %s: %w", schedule.ID, err)
	}
	s.count(tx, schedule, slot.State)
	if err := s.appendEvent(ctx, tx, schedule, slot, string(slot.State)); err != nil {
		return err
	}
	if len(slot.Changes) > 0 {
		if err := s.appendEvent(ctx, tx, schedule, slot, "result_changed"); err != nil {
			return err
		}
	}
	if slot.State == Failed && schedule.Failures == Failing {
		return s.appendEvent(ctx, tx, schedule, slot, "failing")
	}
	return nil
}
