package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/schedules"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// compare ends a slot whose work has ended.
func (w *Workers) compare(ctx context.Context, args jobs.ScheduleCompareArgs, lease store.Lease) error {
	schedule, slot, err := w.Schedules.Slot(ctx, args.WorkspaceID, args.SlotID)
	if err != nil {
		return err
	}
	if slot.EntityID == nil {
		return fmt.Errorf("slot %s has no work: %w", slot.ID, store.ErrEnded)
	}
	outcome, err := w.outcome(ctx, schedule, *slot.EntityID)
	switch {
	case errors.Is(err, errActive):
		return w.save.Save(ctx, lease, func() error { return w.Schedules.Leave(ctx, lease, slot) })
	case errors.Is(err, store.ErrNotFound):
		outcome = schedules.Outcome{State: schedules.Failed, Reason: "its result was deleted before it was compared"}
	case err != nil:
		return err
	}
	return w.save.Save(ctx, lease, func() error { return w.Schedules.Finish(ctx, lease, slot.ID, outcome) })
}

// errActive: the work has been retried since it ended, and is compared when it ends again.
var errActive = errors.New("the work runs again")

func (w *Workers) outcome(ctx context.Context, schedule *schedules.Schedule, id uuid.UUID) (schedules.Outcome, error) {
	switch schedule.Kind {
	case schedules.Tune:
		tune, err := w.Tuning.Get(ctx, schedule.WorkspaceID, id)
		if err != nil {
			return schedules.Outcome{}, err
		}
		if !tune.Status.Ended() {
			return schedules.Outcome{}, errActive
		}
		return outcomeOfTune(tune)
	case schedules.WalkForward:
		wfo, err := w.WalkForward.Get(ctx, schedule.WorkspaceID, id)
		if err != nil {
			return schedules.Outcome{}, err
		}
		if !wfo.Status.Ended() {
			return schedules.Outcome{}, errActive
		}
		return outcomeOfWalkForward(wfo)
	}
	in, err := w.Library.Ingest(ctx, schedule.WorkspaceID, id)
	if err != nil {
		return schedules.Outcome{}, err
	}
	if !in.Status.Ended() {
		return schedules.Outcome{}, errActive
	}
	return outcomeOfIngestion(in), nil
}

// evidence is what a result keeps of it.
type evidence struct {
	Verdict string `json:"verdict"`
	Checks  []struct {
		Name  string   `json:"name"`
		Value *float64 `json:"value"`
	} `json:"checks"`
}

func outcomeOfTune(tune *tuning.Tune) (schedules.Outcome, error) {
	if tune.Status != tuning.Completed {
		return unfinished(string(tune.Status), tune.Error), nil
	}
	result := &schedules.Result{Dataset: tune.Dataset, Score: tune.Progress.BestScore}
	var found struct {
		Overfit  sweep.Overfit `json:"overfit"`
		Evidence *evidence     `json:"evidence"`
	}
	if err := json.Unmarshal(tune.Outcome, &found); err != nil {
		return schedules.Outcome{}, fmt.Errorf("decode outcome of tune %s: %w", tune.ID, err)
	}
	if tune.BestParams != nil {
		if err := json.Unmarshal(tune.BestParams, &result.Params); err != nil {
			return schedules.Outcome{}, fmt.Errorf("decode parameters of tune %s: %w", tune.ID, err)
		}
	}
	result.DSR, result.PBO = found.Overfit.DSR, found.Overfit.PBO
	if found.Evidence != nil {
		result.Verdict = found.Evidence.Verdict
	}
	return schedules.Outcome{State: schedules.Completed, Result: result}, nil
}

func outcomeOfWalkForward(wfo *walkforward.Run) (schedules.Outcome, error) {
	if wfo.Status != walkforward.Completed && wfo.Status != walkforward.Partial {
		return unfinished(string(wfo.Status), wfo.Error), nil
	}
	var found sweep.WFOOutcome
	if err := json.Unmarshal(wfo.Outcome, &found); err != nil {
		return schedules.Outcome{}, fmt.Errorf("decode outcome of walk-forward %s: %w", wfo.ID, err)
	}
	result := &schedules.Result{Dataset: wfo.Dataset, Params: found.BestParams, Score: found.BestScore}
	if wfo.Evidence != nil {
		var judged evidence
		if err := json.Unmarshal(wfo.Evidence, &judged); err != nil {
			return schedules.Outcome{}, fmt.Errorf("decode evidence of walk-forward %s: %w", wfo.ID, err)
		}
		result.Verdict = judged.Verdict
		for _, check := range judged.Checks {
			if check.Name == "dsr" {
				result.DSR = check.Value
			}
		}
	}
	return schedules.Outcome{State: schedules.Completed, Result: result}, nil
}

func outcomeOfIngestion(in *library.Ingest) schedules.Outcome {
	if in.Status != library.IngestCompleted {
		reason := ""
		if in.Reason != nil {
			reason = *in.Reason
		}
		return unfinished(string(in.Status), reason)
	}
	result := &schedules.Result{Chunks: in.Chunks}
	if in.Outcome != nil {
		result.Outcome = *in.Outcome
	}
	return schedules.Outcome{State: schedules.Completed, Result: result}
}

// unfinished is the outcome of what ended without a result.
func unfinished(status, reason string) schedules.Outcome {
	if status == "canceled" {
		return schedules.Outcome{State: schedules.Canceled, Reason: reason}
	}
	return schedules.Outcome{State: schedules.Failed, Reason: reason}
}
