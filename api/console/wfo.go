package console

import (
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/workers"
)

// fold is one fold of a walk-forward as the API answers it.
type fold struct {
	Fold       int                `json:"fold"`
	Status     string             `json:"status"`
	TrainStart time.Time          `json:"train_start"`
	TrainEnd   time.Time          `json:"train_end"`
	TestStart  time.Time          `json:"test_start"`
	TestEnd    time.Time          `json:"test_end"`
	TrainBars  int                `json:"train_bars"`
	TestBars   int                `json:"test_bars"`
	TuneID     *string            `json:"tune_id"`
	Params     map[string]float64 `json:"params"`
	ScoreIS    *float64           `json:"score_is"`
	ScoreOOS   *float64           `json:"score_oos"`
	Error      *string            `json:"error"`
}

// walkForward is a walk-forward as the API answers it.
type walkForward struct {
	WFOID           string             `json:"wfo_id"`
	Status          string             `json:"status"`
	Admitted        bool               `json:"admitted"`
	Dataset         string             `json:"dataset"`
	StrategyName    string             `json:"strategy_name"`
	SearchType      string             `json:"search_type"`
	ObjectiveType   string             `json:"objective_type"`
	WFOConfig       sweep.WFOConfig    `json:"wfo_config"`
	NFolds          int                `json:"n_folds"`
	FoldsDone       int                `json:"folds_done"`
	FoldsFailed     int                `json:"folds_failed"`
	NTrials         int                `json:"n_trials"`
	TrialsCompleted int                `json:"trials_completed"`
	NCandidates     *int               `json:"n_candidates"`
	NEligible       *int               `json:"n_eligible"`
	BestParams      map[string]float64 `json:"best_params"`
	BestScore       *float64           `json:"best_score"`
	Candidates      []sweep.Candidate  `json:"candidates"`
	Folds           []fold             `json:"folds"`
	OOS             *sweep.Stitched    `json:"oos"`
	Equity          []struct {
		Time   time.Time `json:"time"`
		Equity float64   `json:"equity"`
	} `json:"oos_equity"`
	Efficiency  *float64          `json:"walk_forward_efficiency"`
	Undefined   map[string]string `json:"undefined"`
	Warnings    []string          `json:"warnings"`
	Error       *string           `json:"error"`
	Spec        sweep.Spec        `json:"spec"`
	CreatedAt   time.Time         `json:"created_at"`
	StartedAt   *time.Time        `json:"started_at"`
	CompletedAt *time.Time        `json:"completed_at"`
	ETASeconds  *float64          `json:"eta_seconds"`
}

// Ended reports whether nothing more happens to it.
func (w walkForward) Ended() bool { return w.Status != "pending" && w.Status != "running" }

// WalkForwards handles GET /admin/wfo.
func (p *Pages) WalkForwards(c echo.Context) error {
	v, err := p.page(c, "Walk-forward", "Walk-forwards")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "wfos", err)
	}
	v.Topics = "wfo"
	query := pageQuery(c, "status", "strategy", "cursor")
	var found page[walkForward]
	if err := p.get(c, v, "/backtests/wfo", query, &found); err != nil {
		return err
	}
	v.Data = struct {
		Runs                 []walkForward
		Status, Strategy     string
		Statuses, Strategies []string
		Pager                pager
	}{
		found.Items, query.Get("status"), query.Get("strategy"),
		[]string{"pending", "running", "completed", "partial", "failed", "canceled"}, strategyNames(), newPager(c, query, found.NextCursor),
	}
	return p.render(c, http.StatusOK, "wfos", v)
}

// WalkForward handles GET /admin/wfo/:id.
func (p *Pages) WalkForward(c echo.Context) error {
	v, err := p.page(c, "Walk-forward", "Walk-forward")
	if err != nil {
		return err
	}
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || v.Workspace == nil {
		return store.ErrNotFound
	}
	var w walkForward
	if err := p.get(c, v, "/backtests/wfo/"+id.String(), url.Values{"candidates": {"25"}}, &w); err != nil {
		return err
	}
	v.Title = w.StrategyName + " · " + w.Dataset + " · walk-forward"
	if !w.Ended() {
		v.Topics = "wfo"
	}
	own, err := p.store.Workers.Jobs(c.Request().Context(), v.Workspace.ID, "wfo_id", id, mostJobs)
	if err != nil {
		return err
	}
	v.Data = struct {
		Run                              walkForward
		Timeline, Equity, Scores, Stable template.HTML
		Space                            []spaceLine
		Jobs                             []workers.JobLine
	}{w, w.timeline(), w.equity(), w.scores(), w.stability(), spaceOf(w.Spec), own}
	return p.render(c, http.StatusOK, "wfo", v)
}

func (w walkForward) timeline() template.HTML {
	var rows []chart.Fold
	for _, f := range w.Folds {
		rows = append(rows, chart.Fold{
			Name: strconv.Itoa(f.Fold), Status: f.Status,
			TrainFrom: f.TrainStart.UnixMicro(), TrainTo: f.TrainEnd.UnixMicro(), TestFrom: f.TestStart.UnixMicro(), TestTo: f.TestEnd.UnixMicro(),
			TrainT: fmt.Sprintf("fold %d trains %s to %s, %d bars", f.Fold, f.TrainStart.Format("2006-01-02"), f.TrainEnd.Format("2006-01-02"), f.TrainBars),
			TestT:  fmt.Sprintf("fold %d tests %s to %s, %d bars: %s", f.Fold, f.TestStart.Format("2006-01-02"), f.TestEnd.Format("2006-01-02"), f.TestBars, f.Status),
		})
	}
	return chart.Folds("Training and test windows of each fold", rows)
}

func (w walkForward) equity() template.HTML {
	if len(w.Equity) == 0 {
		return ""
	}
	line := chart.Series{Class: "s2"}
	for _, e := range w.Equity {
		line.Time, line.Values = append(line.Time, e.Time.UnixMicro()), append(line.Values, e.Equity)
	}
	return chart.Lines("Out-of-sample equity, the test windows stitched together", 260, []chart.Series{line})
}

func (w walkForward) scores() template.HTML {
	var bars []chart.Bar
	for _, f := range w.Folds {
		b := chart.Bar{Name: strconv.Itoa(f.Fold), Value: math.NaN(), Class: "good"}
		if f.ScoreOOS != nil {
			if b.Value = *f.ScoreOOS; b.Value < 0 {
				b.Class = "bad"
			}
		}
		bars = append(bars, b)
	}
	return chart.Bars("Out-of-sample score of each fold's choice", 180, bars)
}

// stability draws the best candidates' scores on every fold: a row each.
func (w walkForward) stability() template.HTML {
	const most = 12
	top := w.Candidates[:min(len(w.Candidates), most)]
	if len(top) == 0 {
		return ""
	}
	x, y := chart.Axis{Name: "fold"}, chart.Axis{Name: "candidate, by rank"}
	for i := range top[0].FoldScores {
		x.Labels = append(x.Labels, strconv.Itoa(i))
	}
	var cells []chart.Cell
	for i := len(top) - 1; i >= 0; i-- { // the best on top
		y.Labels = append(y.Labels, strconv.Itoa(top[i].Rank))
		for k, score := range top[i].FoldScores {
			cell := chart.Cell{Value: math.NaN(), Title: fmt.Sprintf("rank %d on fold %d: no score", top[i].Rank, k)}
			if score != nil {
				cell = chart.Cell{Value: *score, Title: fmt.Sprintf("rank %d (%s) on fold %d: %s", top[i].Rank, paramText(top[i].Params), k, chart.Short(*score))}
			}
			cells = append(cells, cell)
		}
	}
	if len(x.Labels) == 0 {
		return ""
	}
	return chart.Heat("Scores of the best candidates on every fold", x, y, cells, -1)
}

// NewWalkForward handles GET /admin/wfo/new.
func (p *Pages) NewWalkForward(c echo.Context) error {
	v, err := p.page(c, "Walk-forward", "New walk-forward")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "tune_new", err)
	}
	form := tuneForm{
		WFO: true, Strategy: c.QueryParam("strategy"), Dataset: c.QueryParam("dataset"), Side: "both", Search: "grid", Seed: "1", Objective: "sharpe",
		MaxDrawdown: "40", MinTrades: "1", Commission: "0.002", TrainDays: "730", TestDays: "180", MinFolds: "3", TopK: "10",
	}
	return p.showTuneForm(c, v, http.StatusOK, form, nil)
}

// SubmitWalkForward handles POST /admin/wfo.
func (p *Pages) SubmitWalkForward(c echo.Context) error {
	return p.submitForm(c, "Walk-forward", true, "/backtests/wfo", func(answer Answer) (string, error) {
		var made walkForward
		err := answer.into(&made)
		return "/admin/wfo/" + made.WFOID, err
	})
}

// CancelWalkForward handles POST /admin/wfo/:id/cancel.
func (p *Pages) CancelWalkForward(c echo.Context) error {
	return p.cancel(c, "/backtests/wfo/", "/admin/wfo/")
}
