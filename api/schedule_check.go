package api

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"millrace/api/types"
	"millrace/jobs/calendar"
	"millrace/jobs/invalid"
	"millrace/store/schedules"
)

// scheduleRequest is types.ScheduleBody as it is bound: its request stays as it came.
type scheduleRequest struct {
	Name      string          `json:"name"`
	Kind      schedules.Kind  `json:"kind"`
	Request   jsontext.Value  `json:"request"`
	Cron      string          `json:"cron"`
	TimeZone  string          `json:"time_zone"`
	OnNewBars string          `json:"on_new_bars"`
	Missed    calendar.Policy `json:"missed_policy"`
	Paused    bool            `json:"paused"`
}

// checkSchedule holds a schedule and the request in it against their rules; nothing is stored when it fails.
func (s *Server) checkSchedule(ctx context.Context, workspace uuid.UUID, req scheduleRequest) (schedules.Schedule, error) {
	in := schedules.Schedule{
		Name: req.Name, Kind: req.Kind, Request: stdjson.RawMessage(req.Request), Cron: req.Cron, TimeZone: req.TimeZone, Missed: req.Missed, Paused: req.Paused,
	}
	if in.TimeZone == "" {
		in.TimeZone = time.UTC.String()
	}
	if in.Missed == "" {
		in.Missed = calendar.Once
	}
	var faults []invalid.FieldError
	fault := func(field, message string, limit any) {
		faults = append(faults, invalid.FieldError{Field: field, Message: message, Limit: limit})
	}
	if !slices.Contains(schedules.Kinds(), in.Kind) {
		fault("kind", fmt.Sprintf("%q is not what a schedule can submit", in.Kind), schedules.Kinds())
	}
	if req.Request.Kind() != '{' {
		fault("request", "is required: the body of what is submitted", nil)
	}
	switch {
	case req.Cron == "" && req.OnNewBars == "":
		fault("cron", "is required, or on_new_bars: what runs the schedule", nil)
	case req.Cron != "" && req.OnNewBars != "":
		fault("on_new_bars", "does not go with cron: a schedule runs by one of them", nil)
	case req.OnNewBars != "" && req.TimeZone != "":
		fault("time_zone", "is of a cron line, and does not go with on_new_bars", nil)
	}
	faults = append(faults, checkTiming(in.Name, in.Cron, in.TimeZone, in.Missed)...)
	if err := fieldProblems(faults); err != nil {
		return in, err
	}
	if req.OnNewBars != "" {
		dataset, err := s.store.Market.Dataset(ctx, workspace, req.OnNewBars)
		if err != nil {
			return in, datasetProblem("on_new_bars", req.OnNewBars, err)
		}
		in.Series, in.Holds = dataset.Name, append(in.Holds, dataset.ID)
	}
	err := s.checkScheduled(ctx, workspace, &in, req.Request)
	var p *problemError
	if !errors.As(err, &p) {
		return in, err
	}
	return in, p.within("request.")
}

// checkTiming holds a name and what says when a schedule runs against their rules. cron may be empty.
func checkTiming(name, cron, zoneName string, missed calendar.Policy) []invalid.FieldError {
	var faults []invalid.FieldError
	if !oneLine(name, 100) {
		faults = append(faults, lineFault("name", 100))
	}
	if !slices.Contains(calendar.Policies(), missed) {
		faults = append(faults, invalid.FieldError{Field: "missed_policy", Message: fmt.Sprintf("%q is not a policy", missed), Limit: calendar.Policies()})
	}
	zone, err := schedules.Zone(zoneName)
	if err != nil {
		return append(faults, invalid.FieldError{Field: "time_zone", Message: err.Error()})
	}
	const mostCron = 200
	if cron == "" {
		return faults
	}
	if len(cron) > mostCron {
		return append(faults, invalid.FieldError{Field: "cron", Message: fmt.Sprintf("has %d bytes, more than %d", len(cron), mostCron), Limit: mostCron})
	}
	if _, err := calendar.Parse(cron, zone); err != nil {
		faults = append(faults, invalid.FieldError{Field: "cron", Message: err.Error(), Limit: "once every " + calendar.MinInterval.String()})
	}
	return faults
}

// checkScheduleChange holds a change against the schedule as it is.
func checkScheduleChange(now *schedules.Schedule, req types.ScheduleChange) error {
	name, cron, zone, missed := now.Name, now.Cron, now.TimeZone, now.Missed
	if req.Name != nil {
		name = *req.Name
	}
	if req.Missed != nil {
		missed = calendar.Policy(*req.Missed)
	}
	var faults []invalid.FieldError
	for field, given := range map[string]*string{"cron": req.Cron, "time_zone": req.TimeZone} {
		switch {
		case given == nil:
		case now.Cron == "":
			faults = append(faults, invalid.FieldError{Field: field, Message: "is not of a schedule that runs at new bars: make another one"})
		case *given == "":
			faults = append(faults, invalid.FieldError{Field: field, Message: "is empty"})
		case field == "cron":
			cron = *given
		default:
			zone = *given
		}
	}
	return fieldProblems(append(faults, checkTiming(name, cron, zone, missed)...))
}

// checkScheduled holds the request that a schedule submits against its rules, as the route of its kind does.
func (s *Server) checkScheduled(ctx context.Context, workspace uuid.UUID, in *schedules.Schedule, body jsontext.Value) error {
	switch in.Kind {
	case schedules.Tune:
		var req tuneRequest
		if err := decode(body, &req); err != nil {
			return err
		}
		tune, err := s.checkTune(ctx, workspace, req)
		in.Holds = append(in.Holds, held(tune.DatasetID, tune.Spec.IntrabarDataset, tune.Several...)...)
		return err
	case schedules.WalkForward:
		var req wfoRequest
		if err := decode(body, &req); err != nil {
			return err
		}
		wfo, err := s.checkWFO(ctx, workspace, req)
		in.Holds = append(in.Holds, held(wfo.DatasetID, wfo.Spec.IntrabarDataset)...)
		return err
	}
	var sent sentSource
	if err := decode(body, &sent.IngestRequest); err != nil {
		return err
	}
	if sent.URL == "" || sent.Text != "" {
		return fieldProblem("url", "is required, and no text beside it: a schedule fetches its source again", nil)
	}
	ingest, err := sent.check("")
	if err != nil {
		return err
	}
	if in.Prepared, err = stdjson.Marshal(ingest); err != nil {
		return fmt.Errorf("encode ingestion: %w", err)
	}
	return nil
}

// held are the datasets that a request names. intrabar is the id of one, or "".
func held(dataset uuid.UUID, intrabar string, several ...uuid.UUID) []uuid.UUID {
	ids := append([]uuid.UUID{dataset}, several...)
	if id, err := uuid.Parse(intrabar); err == nil {
		ids = append(ids, id)
	}
	return ids
}

// within is the problem of a part of a request.
func (p *problemError) within(part string) error {
	named := *p
	named.Errors = slices.Clone(p.Errors)
	for i := range named.Errors {
		named.Errors[i].Field = part + named.Errors[i].Field
	}
	return &named
}
