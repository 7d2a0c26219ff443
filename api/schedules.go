package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/calendar"
	"millrace/store"
	"millrace/store/schedules"
)

const (
	sampleSchedule = `{"name": "nightly", "kind": "tune", "cron": "30 6 * * 1-5", "time_zone": "America/New_York", "missed_policy": "once",
          "request": {"dataset": "sp500", "strategy_name": "sma_cross", "oos_ratio": 0.3,
                      "param_space": {"fast": [5, 10, 20], "slow": [50, 100, 200]}}}`
	sampleScheduleChange = `{"paused": true}`
)

// scheduleRoutes are the routes of schedules.
func (s *Server) scheduleRoutes() []route {
	return []route{
		{http.MethodPost, "/schedules", member, s.createSchedule, creates | inline, about{
			summary: "Submit a tune, walk-forward or ingestion by a cron line in a time zone, or at new bars", body: types.ScheduleBody{}, sample: sampleSchedule,
			status: http.StatusCreated, answer: types.Schedule{}}},
		{http.MethodGet, "/schedules", viewer, s.listSchedules, bodyLimit, about{
			summary: "The schedules with their next slot and last run, newest first", params: paging(50, 200), answer: types.List[types.Schedule]{}}},
		{http.MethodGet, "/schedules/:id", viewer, s.getSchedule, bodyLimit, about{
			summary: "A schedule, by id or name, its next slot and its last run", answer: types.Schedule{}}},
		{http.MethodPatch, "/schedules/:id", member, s.changeSchedule, bodyLimit, about{
			summary: "Pause or resume a schedule, or change when it runs", body: types.ScheduleChange{}, sample: sampleScheduleChange, answer: types.Schedule{}}},
		{http.MethodDelete, "/schedules/:id", member, s.deleteSchedule, bodyLimit, about{
			summary: "Delete a schedule and its history; what it has submitted continues", status: http.StatusNoContent}},
		{http.MethodPost, "/schedules/:id/run", member, s.runSchedule, creates, about{
			summary: "Run a schedule now, by id or name, also one that is paused", status: http.StatusAccepted, answer: types.ScheduleSlot{}}},
		{http.MethodGet, "/schedules/:id/history", viewer, s.listSlots, bodyLimit, about{
			summary: "The runs of a schedule and what changed from one to the next, newest first; the newest 1000 are kept",
			params:  paging(50, 200), answer: types.List[types.ScheduleSlot]{}}},
	}
}

func viewSchedule(in *schedules.Schedule) types.Schedule {
	view := types.Schedule{
		ScheduleID: in.ID.String(), Name: in.Name, Kind: types.ScheduleKind(in.Kind), Request: types.NewStored[map[string]any](in.Request),
		Cron: textOrNull(in.Cron), TimeZone: in.TimeZone, OnNewBars: textOrNull(in.Series), Missed: types.MissedPolicy(in.Missed), Paused: in.Paused,
		NextAt: utc(in.NextAt), Failures: in.Failures, Failing: in.Failures >= schedules.Failing, CreatedBy: in.CreatedBy, CreatedAt: in.CreatedAt.UTC(),
	}
	if in.Last != nil {
		last := viewSlot(in.Last)
		view.Last = &last
	}
	return view
}

// textOrNull is null for what is empty.
func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func idOrNull(id *uuid.UUID) *string {
	if id == nil {
		return nil
	}
	text := id.String()
	return &text
}

func viewSlot(in *schedules.Slot) types.ScheduleSlot {
	view := types.ScheduleSlot{
		SlotID: in.ID.String(), ScheduleID: in.ScheduleID.String(), Cause: types.SlotCause(in.Cause), SlotAt: in.SlotAt.UTC(), FirstAt: in.FirstAt.UTC(),
		Slots: in.Slots, DatasetID: idOrNull(in.DatasetID), State: types.SlotState(in.State), Reason: in.Reason, ResultID: idOrNull(in.EntityID),
		Changes: []types.ScheduleDifference{}, ComparedWith: idOrNull(in.ComparedID), CreatedAt: in.CreatedAt.UTC(), EndedAt: utc(in.EndedAt),
	}
	if r := in.Result; r != nil {
		view.Result = &types.ScheduleResult{
			Dataset: r.Dataset, Params: nullable(r.Params), Score: r.Score, DSR: r.DSR, PBO: r.PBO, Verdict: r.Verdict, Outcome: r.Outcome, Chunks: r.Chunks,
		}
	}
	for _, change := range in.Changes {
		view.Changes = append(view.Changes, types.ScheduleDifference(change))
	}
	return view
}

// createSchedule handles POST /schedules.
func (s *Server) createSchedule(c echo.Context) error {
	var req scheduleRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	in, err := s.checkSchedule(c.Request().Context(), sub.Workspace, req)
	if err != nil {
		return err
	}
	in.CreatedBy = clipped(actorOf(c).Name, 200)
	resp, err := s.store.Schedules.Create(c.Request().Context(), sub, in, func(made *schedules.Schedule) (store.Response, error) {
		body, err := json.Marshal(viewSchedule(made))
		return store.Response{Status: http.StatusCreated, Location: "/schedules/" + made.ID.String(), Body: body}, err
	})
	return answered(c, resp, err, schedules.ErrFull,
		fieldProblem("name", fmt.Sprintf("the workspace has %d schedules, as many as it may: delete some", schedules.MostSchedules), schedules.MostSchedules))
}

// listSchedules handles GET /schedules.
func (s *Server) listSchedules(c echo.Context) error {
	place := func(in *schedules.Schedule) (time.Time, uuid.UUID) { return in.CreatedAt, in.ID }
	return newestFirst(c, 200, place, viewSchedule, func(ctx context.Context, page store.Page, limit int) ([]*schedules.Schedule, error) {
		return s.store.Schedules.List(ctx, workspaceOf(c), page, limit)
	})
}

// scheduleID is the id of the schedule that the path names, by its id or by its name.
func (s *Server) scheduleID(c echo.Context) (uuid.UUID, error) {
	name, err := url.PathUnescape(c.Param("id"))
	if err != nil || badText(name) != "" {
		return uuid.Nil, fmt.Errorf("schedule: %w", store.ErrNotFound)
	}
	if id, err := uuid.Parse(name); err == nil {
		return id, nil
	}
	return s.store.Schedules.Find(c.Request().Context(), workspaceOf(c), name)
}

// getSchedule handles GET /schedules/:id.
func (s *Server) getSchedule(c echo.Context) error {
	id, err := s.scheduleID(c)
	if err != nil {
		return err
	}
	found, err := s.store.Schedules.Get(c.Request().Context(), workspaceOf(c), id)
	if err != nil {
		return err
	}
	return ok(c, viewSchedule(found))
}

// changeSchedule handles PATCH /schedules/:id. Repeating it has no further effect, so it needs no key.
func (s *Server) changeSchedule(c echo.Context) error {
	id, err := s.scheduleID(c)
	if err != nil {
		return err
	}
	var req types.ScheduleChange
	if err := bind(c, &req); err != nil {
		return err
	}
	ctx := c.Request().Context()
	now, err := s.store.Schedules.Get(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	if err := checkScheduleChange(now, req); err != nil {
		return err
	}
	changed, err := s.store.Schedules.Change(ctx, workspaceOf(c), id, schedules.Change{
		Name: req.Name, Cron: req.Cron, TimeZone: req.TimeZone, Missed: (*calendar.Policy)(req.Missed), Paused: req.Paused,
	})
	if err != nil {
		return err
	}
	return ok(c, viewSchedule(changed))
}

// deleteSchedule handles DELETE /schedules/:id.
func (s *Server) deleteSchedule(c echo.Context) error {
	id, err := s.scheduleID(c)
	if err != nil {
		return err
	}
	if err := s.store.Schedules.Delete(c.Request().Context(), workspaceOf(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// runSchedule handles POST /schedules/:id/run.
func (s *Server) runSchedule(c echo.Context) error {
	var none struct{}
	sub, err := s.submission(c, &none)
	if err != nil {
		return err
	}
	id, err := s.scheduleID(c)
	if err != nil {
		return err
	}
	sub.QueueDepth = 0 // its work is counted when it is submitted
	resp, err := s.store.Schedules.RunNow(c.Request().Context(), sub, id, func(slot *schedules.Slot) (store.Response, error) {
		body, err := json.Marshal(viewSlot(slot))
		return store.Response{Status: http.StatusAccepted, Location: "/schedules/" + id.String() + "/history", Body: body}, err
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// listSlots handles GET /schedules/:id/history.
func (s *Server) listSlots(c echo.Context) error {
	id, err := s.scheduleID(c)
	if err != nil {
		return err
	}
	var before uuid.UUID
	if text := c.QueryParam("cursor"); text != "" {
		parts, err := unpackCursor(text, 1)
		if err != nil {
			return err
		}
		if before, err = uuid.Parse(parts[0]); err != nil {
			return badCursor()
		}
	}
	cursor := func(slot *schedules.Slot) string { return packCursor(slot.ID.String()) }
	return listed(c, 200, cursor, viewSlot, func(ctx context.Context, limit int) ([]*schedules.Slot, error) {
		return s.store.Schedules.History(ctx, workspaceOf(c), id, before, limit)
	})
}
