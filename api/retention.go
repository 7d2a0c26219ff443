package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/upkeep"
)

// pruneJob is the retention job that the path names, in its spelling there.
func pruneJob(c echo.Context) (string, error) {
	job := strings.ReplaceAll(c.Param("job"), "-", "_")
	if _, ok := jobs.RetentionOf(job); !ok || strings.Contains(c.Param("job"), "_") {
		return "", problem(http.StatusNotFound, "There is no such retention job.",
			invalid.FieldError{Field: "job", Message: "is not one of those that can be pruned", Limit: pruneJobs()})
	}
	return job, nil
}

// pruneJobs are the jobs in the spelling of paths.
func pruneJobs() []string {
	names := retentionJobs()
	for i, job := range names {
		names[i] = strings.ReplaceAll(job, "_", "-")
	}
	return names
}

func retentionJobs() []string {
	var names []string
	for _, job := range jobs.Retentions() {
		names = append(names, job.Name)
	}
	slices.Sort(names)
	return names
}

func checkPrune(job string, r types.PruneRequest) (upkeep.Prune, error) {
	prune := upkeep.Prune{Job: job, BatchSize: 10_000, DryRun: true, Source: upkeep.SourceAdmin}
	limits, _ := jobs.RetentionOf(job)
	var faults []invalid.FieldError
	if r.Days != nil {
		if *r.Days < limits.Least || *r.Days > limits.Most {
			faults = append(faults, invalid.FieldError{
				Field: "days", Message: fmt.Sprintf("must be from %d to %d", limits.Least, limits.Most), Limit: []int{limits.Least, limits.Most}})
		}
		age := time.Duration(*r.Days) * 24 * time.Hour
		prune.Age = &age
	}
	if r.BatchSize != nil {
		if *r.BatchSize < 100 || *r.BatchSize > 100_000 {
			faults = append(faults, invalid.FieldError{
				Field: "batch_size", Message: "must be from 100 to 100000", Limit: []int{100, 100_000}})
		}
		prune.BatchSize = *r.BatchSize
	}
	if r.DryRun != nil {
		prune.DryRun = *r.DryRun
	}
	return prune, fieldProblems(faults)
}

// prune handles POST /admin/retention/prune/:job.
func (s *Server) prune(c echo.Context) error {
	job, err := pruneJob(c)
	if err != nil {
		return err
	}
	var req types.PruneRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	prune, err := checkPrune(job, req)
	if err != nil {
		return err
	}
	resp, err := s.store.Upkeep.RequestPrune(c.Request().Context(), sub, prune,
		func(run upkeep.RetentionRun) (store.Response, error) {
			body, err := json.Marshal(viewRetentionRun(run))
			return store.Response{Status: http.StatusAccepted, Location: upkeep.RetentionLocation(run.ID), Body: body}, err
		})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// The statuses of a retention run.
const (
	retentionQueued    = "queued"
	retentionRunning   = "running"
	retentionCompleted = "completed"
	retentionFailed    = "failed"
)

func retentionStatuses() []string {
	return []string{retentionQueued, retentionRunning, retentionCompleted, retentionFailed}
}

func viewRetentionRun(r upkeep.RetentionRun) types.RetentionRun {
	status := retentionQueued
	switch {
	case r.OK != nil && *r.OK:
		status = retentionCompleted
	case r.OK != nil:
		status = retentionFailed
	case r.StartedAt != nil:
		status = retentionRunning
	}
	return types.RetentionRun{
		JobLogID: r.ID, JobName: r.Job, Status: status, Source: r.Source, DryRun: r.DryRun, BatchSize: r.BatchSize,
		CutoffTS: utc(r.CutoffAt), DeletedCount: r.Deleted, Batches: r.Batches, LongestMS: r.LongestMS,
		QueuedAt: r.QueuedAt.UTC(), StartedAt: utc(r.StartedAt), FinishedAt: utc(r.FinishedAt), OK: r.OK, Error: r.Error,
	}
}

// listRetentionLog handles GET /admin/retention/logs.
func (s *Server) listRetentionLog(c echo.Context) error {
	limit, err := queryInt(c, "limit", 50, 1, 1000)
	if err != nil {
		return err
	}
	job := c.QueryParam("job_name")
	if _, ok := jobs.RetentionOf(job); job != "" && !ok {
		return problem(http.StatusBadRequest, "The query is not valid.",
			invalid.FieldError{Field: "job_name", Message: "is not a retention job"})
	}
	var before int64
	if text := c.QueryParam("cursor"); text != "" {
		parts, err := unpackCursor(text, 1)
		if err != nil {
			return err
		}
		if before, err = strconv.ParseInt(parts[0], 10, 64); err != nil || before < 1 {
			return badCursor()
		}
	}
	runs, err := s.store.Upkeep.RetentionLog(c.Request().Context(), job, before, limit+1)
	if err != nil {
		return err
	}
	views := make([]types.RetentionRun, len(runs))
	for i, run := range runs {
		views[i] = viewRetentionRun(run)
	}
	return ok(c, paged(views, limit, func(v types.RetentionRun) string { return packCursor(strconv.FormatInt(v.JobLogID, 10)) }))
}

// getRetentionRun handles GET /admin/retention/logs/:entry.
func (s *Server) getRetentionRun(c echo.Context) error {
	entry, err := strconv.ParseInt(c.Param("entry"), 10, 64)
	if err != nil || entry < 1 {
		return fmt.Errorf("entry: %w", store.ErrNotFound)
	}
	run, err := s.store.Upkeep.RetentionRun(c.Request().Context(), entry)
	if err != nil {
		return err
	}
	return ok(c, viewRetentionRun(run))
}

// retentionStatus handles GET /admin/retention/status.
func (s *Server) retentionStatus(c echo.Context) error {
	view, err := s.viewRetention(c.Request().Context())
	if err != nil {
		return err
	}
	return ok(c, view)
}

func (s *Server) viewRetention(ctx context.Context) (types.Retention, error) {
	status, err := s.store.Upkeep.RetentionStatus(ctx)
	if err != nil {
		return types.Retention{}, err
	}
	view := types.Retention{Scheduler: status.Scheduler, Jobs: []types.RetentionJob{}}
	for _, job := range status.Jobs {
		schedule, err := jobs.Schedule(job.Schedule)
		if err != nil {
			return types.Retention{}, err
		}
		view.Jobs = append(view.Jobs, types.RetentionJob{
			JobName: job.Name, Table: job.Table, TableBytes: job.TableSize, Schedule: job.Schedule,
			NextRunAt: schedule.Next(status.Now).UTC(), KeepDays: job.Age.Hours() / 24, Running: job.Running,
			LastRunAt: utc(job.LastRunAt), LastOKAt: utc(job.LastOK), LastDeletedCount: job.Deleted, LastError: job.Error,
			ConsecutiveFailures: job.Failures,
		})
	}
	return view, nil
}
