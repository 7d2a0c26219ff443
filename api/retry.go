package api

import (
	"encoding/json"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// retryRoutes are the routes that have what failed or was cancelled run again.
func (s *Server) retryRoutes() []route {
	retry := func(path string, handler echo.HandlerFunc, summary string, answer any) route {
		return route{http.MethodPost, path + "/retry", member, handler, creates | inline, about{summary: summary, status: http.StatusAccepted, answer: answer}}
	}
	return []route{
		retry("/backtests/tunes/:id", s.retryTune, "Run a tune again that failed or was cancelled; what it has found stays", types.Tune{}),
		retry("/backtests/wfo/:id", s.retryWFO, "Run a walk-forward again that failed or was cancelled; folds that came through stay", types.WFO{}),
		retry("/run-plans/:id", s.retryRunPlan, "Run the variants of a run plan again that failed or were cancelled", types.RunPlan{}),
		retry("/ingest/jobs/:id", s.retryIngest, "Fetch and ingest a source again whose ingestion failed or was cancelled", types.Ingest{}),
	}
}

// retried reads what a retry is of, and the submission that it is.
func (s *Server) retried(c echo.Context) (id uuid.UUID, sub store.Submission, err error) {
	if id, err = pathID(c); err != nil {
		return id, sub, err
	}
	sub, err = s.submission(c, &struct{}{})
	return id, sub, err
}

// again is the response to a retry.
func again(location string, view any) (store.Response, error) {
	body, err := json.Marshal(view)
	return store.Response{Status: http.StatusAccepted, Location: location, Body: body}, err
}

// retryTune handles POST /backtests/tunes/:id/retry.
func (s *Server) retryTune(c echo.Context) error {
	id, sub, err := s.retried(c)
	if err != nil {
		return err
	}
	resp, err := s.store.Tuning.Retry(c.Request().Context(), sub, s.queueDepth(c), id, func(t *tuning.Tune) (store.Response, error) {
		return again("/backtests/tunes/"+id.String(), viewTune(t, s.store.Clock().Now()))
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// retryWFO handles POST /backtests/wfo/:id/retry.
func (s *Server) retryWFO(c echo.Context) error {
	id, sub, err := s.retried(c)
	if err != nil {
		return err
	}
	resp, err := s.store.WalkForward.Retry(c.Request().Context(), sub, s.queueDepth(c), id, func(w *walkforward.Run, folds []walkforward.Fold) (store.Response, error) {
		view, err := viewWFO(w, folds, s.store.Clock().Now())
		if err != nil {
			return store.Response{}, err
		}
		return again("/backtests/wfo/"+id.String(), view)
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// retryRunPlan handles POST /run-plans/:id/retry.
func (s *Server) retryRunPlan(c echo.Context) error {
	id, sub, err := s.retried(c)
	if err != nil {
		return err
	}
	resp, err := s.store.Tuning.RetryRunPlan(c.Request().Context(), sub, s.queueDepth(c), id, func(p *tuning.RunPlan, variants []tuning.RunPlanVariant) (store.Response, error) {
		return again("/run-plans/"+id.String(), viewRunPlan(p, variants, nil))
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// retryIngest handles POST /ingest/jobs/:id/retry.
func (s *Server) retryIngest(c echo.Context) error {
	id, sub, err := s.retried(c)
	if err != nil {
		return err
	}
	resp, err := s.store.Library.RetryEndedIngest(c.Request().Context(), sub, s.queueDepth(c), id, func(in *library.Ingest) (store.Response, error) {
		return again("/ingest/jobs/"+id.String(), viewIngest(in))
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}
