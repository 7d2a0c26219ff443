package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"millrace/api/types"
)

// schedulesCmd holds the verbs of schedules.
type schedulesCmd struct {
	Add     schedulesAddCmd     `cmd:"" help:"Submit a tune, walk-forward or ingestion by a cron line, or at new bars."`
	List    schedulesListCmd    `cmd:"" help:"List the schedules with their next slot and last run, newest first."`
	Show    schedulesShowCmd    `cmd:"" help:"Print a schedule as JSON."`
	Pause   schedulesPauseCmd   `cmd:"" help:"Pause a schedule."`
	Resume  schedulesResumeCmd  `cmd:"" help:"Resume a schedule with its next slot."`
	Run     schedulesRunCmd     `cmd:"" help:"Run a schedule now, also one that is paused."`
	History schedulesHistoryCmd `cmd:"" help:"List the runs of a schedule and what changed, newest first."`
	Rm      schedulesRmCmd      `cmd:"" help:"Delete a schedule and its history; what it has submitted continues."`
}

type schedulesAddCmd struct {
	clientFlags
	Name      string `arg:"" help:"Name of the schedule, once in the workspace."`
	Kind      string `default:"tune" enum:"tune,wfo,ingestion" help:"What it submits: tune, wfo or ingestion."`
	Request   string `required:"" placeholder:"FILE" help:"JSON body of what is submitted; - reads it from the standard input."`
	Cron      string `placeholder:"LINE" help:"Minute, hour, day of month, month and day of week, as in \"30 6 * * 1-5\"."`
	TimeZone  string `placeholder:"ZONE" help:"Of the cron line, as in Europe/Berlin; default UTC."`
	OnNewBars string `placeholder:"DATASET" help:"Run at every new version of a dataset, in place of --cron."`
	Missed    string `default:"once" enum:"skip,once,all" help:"What becomes of slots that went by while nothing could run: skip, once or all."`
	Paused    bool   `help:"Make it paused."`
}

// Run makes the schedule.
func (c *schedulesAddCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	raw, err := readRequest(c.Request, os.Stdin)
	if err != nil {
		return err
	}
	made, err := api.AddSchedule(ctx, "", types.ScheduleBody{
		Name: c.Name, Kind: types.ScheduleKind(c.Kind), Request: types.NewStored[map[string]any](raw), Cron: c.Cron, TimeZone: c.TimeZone,
		OnNewBars: c.OnNewBars, Missed: types.MissedPolicy(c.Missed), Paused: c.Paused,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "schedule %s  %s  next %s\n", made.ScheduleID, printable(made.Name), nextSlot(made))
	return err
}

// readRequest reads JSON from a file, or from another reader when it is named -.
func readRequest(name string, stdin io.Reader) ([]byte, error) {
	var raw []byte
	var err error
	if name == "-" {
		raw, err = io.ReadAll(io.LimitReader(stdin, 10<<20))
	} else {
		raw, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("--request: %w", err)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("--request: %s is not JSON", name)
	}
	return raw, nil
}

// nextSlot is when a schedule runs next, in words.
func nextSlot(s *types.Schedule) string {
	switch {
	case s.Paused:
		return "paused"
	case s.OnNewBars != nil:
		return "at new bars of " + printable(*s.OnNewBars)
	}
	return moment(s.NextAt)
}

type schedulesListCmd struct {
	clientFlags
	rowFlags
	Limit int `default:"50" help:"Schedules to list, from 1 to 200."`
}

// Run lists the schedules.
func (c *schedulesListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.Schedules(ctx, listQuery(c.Limit, nil))
	if err != nil {
		return err
	}
	rows := make([][]string, len(found.Items))
	for i := range found.Items {
		s := &found.Items[i]
		when, last, changed := "", "", ""
		if s.Cron != nil {
			when = *s.Cron + " " + s.TimeZone
		}
		if s.Last != nil {
			last, changed = string(s.Last.State), differencesText(s.Last)
		}
		rows[i] = []string{s.ScheduleID, s.Name, string(s.Kind), when, nextSlot(s), last, changed}
	}
	return c.print(env.stdout, []string{"id", "name", "kind", "cron", "next", "last", "changed"}, rows, found.Items)
}

// differencesText is what changed in a run, in few words.
func differencesText(slot *types.ScheduleSlot) string {
	if slot.ComparedWith == nil {
		return ""
	}
	parts := make([]string, len(slot.Changes))
	for i, change := range slot.Changes {
		parts[i] = fmt.Sprintf("%s %v → %v", change.Field, shownValue(change.Before), shownValue(change.After))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func shownValue(value any) any {
	switch v := value.(type) {
	case nil:
		return "none"
	case float64:
		return fmt.Sprintf("%.4g", v)
	}
	return value
}

type schedulesShowCmd struct {
	clientFlags
	ID string `arg:"" help:"Id or name of the schedule."`
}

// Run prints the schedule.
func (c *schedulesShowCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.Schedule(ctx, c.ID)
	if err != nil {
		return err
	}
	return printJSON(env.stdout, found)
}

type schedulesPauseCmd struct {
	clientFlags
	ID string `arg:"" help:"Id or name of the schedule."`
}

// Run pauses the schedule.
func (c *schedulesPauseCmd) Run(ctx context.Context, env *environment) error {
	return setPaused(ctx, env, c.clientFlags, c.ID, true)
}

type schedulesResumeCmd struct {
	clientFlags
	ID string `arg:"" help:"Id or name of the schedule."`
}

// Run resumes the schedule.
func (c *schedulesResumeCmd) Run(ctx context.Context, env *environment) error {
	return setPaused(ctx, env, c.clientFlags, c.ID, false)
}

func setPaused(ctx context.Context, env *environment, flags clientFlags, id string, paused bool) error {
	api, err := flags.open()
	if err != nil {
		return err
	}
	changed, err := api.ChangeSchedule(ctx, id, types.ScheduleChange{Paused: &paused})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "schedule %s  %s  next %s\n", changed.ScheduleID, printable(changed.Name), nextSlot(changed))
	return err
}

type schedulesRunCmd struct {
	clientFlags
	ID string `arg:"" help:"Id or name of the schedule."`
}

// Run runs the schedule now.
func (c *schedulesRunCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	slot, err := api.RunSchedule(ctx, c.ID, "")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "slot %s  %s\n", slot.SlotID, printable(slot.State))
	return err
}

type schedulesHistoryCmd struct {
	clientFlags
	rowFlags
	ID    string `arg:"" help:"Id or name of the schedule."`
	Limit int    `default:"20" help:"Runs to list, from 1 to 200."`
}

// Run lists the runs.
func (c *schedulesHistoryCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.ScheduleHistory(ctx, c.ID, listQuery(c.Limit, nil))
	if err != nil {
		return err
	}
	rows := make([][]string, len(found.Items))
	for i := range found.Items {
		slot := &found.Items[i]
		result, score, said := "", "", differencesText(slot)
		if slot.ResultID != nil {
			result = *slot.ResultID
		}
		if slot.Result != nil {
			score = figure(slot.Result.Score, 3)
		}
		if slot.Reason != nil {
			said = *slot.Reason
		}
		rows[i] = []string{moment(&slot.SlotAt), string(slot.Cause), string(slot.State), result, score, said}
	}
	return c.print(env.stdout, []string{"slot", "cause", "state", "result", "score", "changed"}, rows, found.Items)
}

type schedulesRmCmd struct {
	clientFlags
	ID string `arg:"" help:"Id or name of the schedule."`
}

// Run deletes the schedule.
func (c *schedulesRmCmd) Run(ctx context.Context, _ *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	return api.DeleteSchedule(ctx, c.ID)
}
