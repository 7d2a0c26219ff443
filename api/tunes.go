package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/ops"
	"millrace/store"
	"millrace/store/requests"
	"millrace/store/strategies"
	"millrace/store/tuning"
)

// tuneRequest is the body of POST /backtests/tune.
type tuneRequest = requests.Tune

func viewTune(t *tuning.Tune, now time.Time) types.Tune {
	p := t.Progress
	view := types.Tune{
		TuneID: t.ID.String(), Status: types.TuneStatus(t.Status), Admitted: t.Admitted, Dataset: t.Dataset, Datasets: t.Datasets(),
		StrategyName: t.Spec.StrategyName, SearchType: types.SearchType(t.Spec.SearchType), ObjectiveType: types.Objective(t.Spec.ObjectiveType),
		NTrials: t.Trials, TrialsCompleted: p.Done(), ShareDone: t.ShareDone(), PermutationTrials: t.Trials * t.Spec.Permutations(),
		Counts: types.TuneCounts{
			Running: p.InFlight - p.Running, Completed: p.Completed + p.Running, Failed: p.Failed, Skipped: p.Skipped,
		},
		BestTrial: p.BestTrial, BestParams: types.NewStored[*map[string]float64](t.BestParams), BestScore: p.BestScore,
		Leaderboard: []types.Stored[types.Entry]{}, Warnings: append([]string{}, t.Warnings...), Spec: viewSpec(t.Spec),
		Regime: viewRegime(t.Regime), CreatedAt: t.CreatedAt.UTC(), StartedAt: utc(t.StartedAt), CompletedAt: utc(t.CompletedAt), ETASeconds: t.ETA(now),
		TrialsDroppedAt: utc(t.TrialsDroppedAt), ArchivedAt: utc(t.ArchivedAt), Retries: t.Retries, Retryable: t.Retryable(),
	}
	c := view.Counts
	view.Counts.Queued = t.Trials - c.Running - c.Completed - c.Failed - c.Skipped
	if t.Error != "" {
		view.Error = &t.Error
	}
	if from := t.RestartedFrom; from != nil {
		view.Warnings = append(view.Warnings, fmt.Sprintf("A worker of engine %s began this tune, and one of engine %s began it again: no trial is of the older one.",
			cmp.Or(*from, "unknown"), cmp.Or(t.Stamp.Engine, "unknown")))
	}
	if later := t.LeftBy; later != nil {
		view.Warnings = append(view.Warnings, leftTo(t, *later))
	}
	if at := t.TrialsDroppedAt; at != nil {
		view.Warnings = append(view.Warnings, whyDropped(view.TuneID, *at))
	}
	if t.Fold != nil {
		wfo := t.Fold.WFO.String()
		view.WFOID, view.Fold = &wfo, &t.Fold.Index
	}
	if t.Outcome != nil {
		var found struct{ Gates, Overfit, Evidence, Pruning, Reasons json.RawMessage }
		if err := json.Unmarshal(t.Outcome, &found); err == nil {
			view.Gates, view.Overfit = types.NewStored[*types.Gates](found.Gates), types.NewStored[*types.Overfit](found.Overfit)
			view.Evidence = types.NewStored[*types.Evidence](found.Evidence)
			view.Pruning, view.Reasons = types.NewStored[[]types.Rung](found.Pruning), types.NewStored[*map[string]int](found.Reasons)
		}
	}
	return view
}

// leftTo says that workers of a later engine left a tune to those of its own.
func leftTo(t *tuning.Tune, later string) string {
	own := cmp.Or(t.Stamp.Engine, "unknown")
	if t.Status.Ended() {
		return fmt.Sprintf("A worker of engine %s began this tune, and workers of engine %s left it to those of engine %s (MILLRACE_OLDER_ENGINE=wait).", own, later, own)
	}
	return fmt.Sprintf("A worker of engine %s began this tune, and workers of engine %s leave it to those of engine %s (MILLRACE_OLDER_ENGINE=wait): "+
		"it waits for them while they are heard, and is begun again when none is.", own, later, own)
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	in := t.UTC()
	return &in
}

// submitTune handles POST /backtests/tune.
func (s *Server) submitTune(c echo.Context) error {
	var req tuneRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	resp, err := s.remembering(&sub, func(check requests.Checker) (store.Response, error) {
		tune, err := s.checkTuneBy(ctx, check, sub.Workspace, req)
		if err != nil {
			return store.Response{}, err
		}
		return s.store.Tuning.Create(ctx, sub, tune, func(t *tuning.Tune) (store.Response, error) {
			body, err := json.Marshal(viewTune(t, t.CreatedAt))
			return store.Response{Status: http.StatusAccepted, Location: "/backtests/tunes/" + t.ID.String(), Body: body}, err
		})
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// remembering submits what is checked with the datasets that this process remembers, whose names the submission looks up
// again. Where one means another dataset by now, and before anything is refused, it is checked with those that there are. A caller that
// is not known is not refused yet.
func (s *Server) remembering(sub *store.Submission, submit func(requests.Checker) (store.Response, error)) (store.Response, error) {
	check := s.checker()
	check.Remembered = true
	resp, err := submit(check)
	if sub.Caller != nil && !sub.Caller.Known() {
		return resp, err
	}
	var refused *problemError
	var gone *store.DatasetGoneError
	if errors.Is(err, store.ErrMoved) || errors.As(err, &refused) || errors.As(err, &gone) {
		return submit(s.checker())
	}
	return resp, err
}

// checkTune holds the request against its rules and its dataset; nothing is stored when it fails.
func (s *Server) checkTune(ctx context.Context, workspace uuid.UUID, req tuneRequest) (tuning.NewTune, error) {
	return s.checkTuneBy(ctx, s.checker(), workspace, req)
}

func (s *Server) checkTuneBy(ctx context.Context, check requests.Checker, workspace uuid.UUID, req tuneRequest) (tuning.NewTune, error) {
	ops.Tag(ctx, "strategy", strategies.Label(req.StrategyName))
	tune, err := check.Tune(ctx, workspace, req)
	return tune, asFault(err)
}

// checker holds requests against their rules.
func (s *Server) checker() requests.Checker {
	return requests.Checker{Market: s.store.Market, Strategies: s.store.Strategies}
}

// asFault is a request's fault as a problem; another error stays as it is.
func asFault(err error) error {
	var fault *requests.Fault
	if !errors.As(err, &fault) {
		return err
	}
	if fault.Missing {
		return problem(http.StatusNotFound, fault.Detail, fault.Fields...)
	}
	return problem(http.StatusUnprocessableEntity, fault.Detail, fault.Fields...)
}

// getTune handles GET /backtests/tunes/:id.
func (s *Server) getTune(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "leaderboard", 10, 0, 1000)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	tune, err := awaited(s, c, s.followedTune(), id, func(ctx context.Context) (*tuning.Tune, bool, error) {
		tune, err := s.store.Tuning.Get(ctx, workspaceOf(c), id)
		return tune, err == nil && tune.Status.Ended(), err
	})
	if err != nil {
		return err
	}
	view := viewTune(tune, s.store.Clock().Now())
	entries, err := s.store.Tuning.LeaderboardOf(ctx, workspaceOf(c), id, limit)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		view.Leaderboard = append(view.Leaderboard, types.NewStored[types.Entry](entry))
	}
	return ok(c, view)
}

func tuneStatuses() []tuning.Status {
	return []tuning.Status{tuning.Queued, tuning.Running, tuning.Completed, tuning.Failed, tuning.Canceled}
}

// listTunes handles GET /backtests/tunes.
func (s *Server) listTunes(c echo.Context) (err error) {
	filter := tuning.Filter{Status: tuning.Status(c.QueryParam("status")), Strategy: c.QueryParam("strategy")}
	if filter.Status != "" && !slices.Contains(tuneStatuses(), filter.Status) {
		return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{
			Field: "status", Message: fmt.Sprintf("%q is not a status", filter.Status),
			Limit: tuneStatuses(),
		})
	}
	if text := c.QueryParam("wfo_id"); text != "" {
		if filter.WFO, err = uuid.Parse(text); err != nil {
			return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: "wfo_id", Message: "is not an id"})
		}
	}
	archived, err := queryBool(c, "archived")
	if err != nil {
		return err
	}
	if filter.WFO == uuid.Nil {
		filter.Archived = &archived
	}
	now := s.store.Clock().Now()
	place := func(t *tuning.Tune) (time.Time, uuid.UUID) { return t.CreatedAt, t.ID }
	view := func(t *tuning.Tune) types.Tune { return viewTune(t, now) }
	return newestFirst(c, 200, place, view, func(ctx context.Context, page store.Page, limit int) ([]*tuning.Tune, error) {
		return s.store.Tuning.List(ctx, workspaceOf(c), filter, page, limit)
	})
}

// cancelTune handles POST /backtests/tunes/:id/cancel. It creates nothing and can be repeated, so
// it needs no idempotency key.
func (s *Server) cancelTune(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	tune, err := s.store.Tuning.Cancel(c.Request().Context(), workspaceOf(c), id)
	if err != nil {
		return err
	}
	return ok(c, viewTune(tune, s.store.Clock().Now()))
}
