package console

import (
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
)

// walkForward is a walk-forward of the API with what its pages ask of it.
type walkForward struct{ types.WFO }

// Dataset names all datasets that it runs over.
func (w walkForward) Dataset() string { return strings.Join(w.Datasets, ", ") }

// Several reports whether it runs over several datasets.
func (w walkForward) Several() bool { return len(w.Datasets) > 1 }

// Ended reports whether nothing more happens to it.
func (w walkForward) Ended() bool { return w.Status.Ended() }

// Candidates are the best of them.
func (w walkForward) Candidates() []types.Candidate {
	all := make([]types.Candidate, len(w.WFO.Candidates))
	for i, c := range w.WFO.Candidates {
		all[i] = c.Value
	}
	return all
}

// WalkForwards handles GET /admin/wfo.
func (p *Pages) WalkForwards(c echo.Context) error {
	v, err := p.page(c, "Walk-forward", "Walk-forwards")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "wfos", err)
	}
	v.Topics = "wfo"
	return renderRuns[walkForward](p, c, v, "wfos", "/backtests/wfo",
		[]string{"pending", "running", "completed", "partial", "failed", "canceled"}, func(w walkForward) string { return w.WFOID })
}

// WalkForward handles GET /admin/wfo/:id.
func (p *Pages) WalkForward(c echo.Context) error {
	v, err := p.page(c, "Walk-forward", "Walk-forward")
	if err != nil {
		return err
	}
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || v.Workspace == nil {
		return notFound()
	}
	var w walkForward
	if err := p.get(c, v, "/backtests/wfo/"+id.String(), url.Values{"candidates": {"25"}}, &w); err != nil {
		return err
	}
	v.Title = w.StrategyName + " · " + w.Dataset() + " · walk-forward"
	if !w.Ended() {
		v.Topics = "wfo"
	}
	own, err := p.opts.Reads.Jobs(c.Request().Context(), v.Workspace.ID, "wfo_id", id, mostJobs)
	if err != nil {
		return err
	}
	held, err := p.held(c.Request().Context(), v.Workspace.ID, &w)
	if err != nil {
		return err
	}
	v.Plots = true
	v.Data = struct {
		Run                      walkForward
		Plots                    []chart.Plot
		Timeline, Scores, Stable template.HTML
		Space                    []spaceLine
		Label                    *labelPanel
		Jobs                     []Job
	}{w, w.equity(held), w.timeline(), w.scores(), w.stability(), spaceOf(w.Spec), p.labelOf(c, v, "wfo", id.String()), own}
	return p.render(c, http.StatusOK, "wfo", v)
}

func (w walkForward) timeline() template.HTML {
	var rows []chart.Fold
	for _, f := range w.Folds {
		rows = append(rows, chart.Fold{
			Name: strconv.Itoa(f.Fold), Status: string(f.Status),
			TrainFrom: f.TrainStart.UnixMicro(), TrainTo: f.TrainEnd.UnixMicro(), TestFrom: f.TestStart.UnixMicro(), TestTo: f.TestEnd.UnixMicro(),
			TrainT: fmt.Sprintf("fold %d trains %s to %s, %s", f.Fold, f.TrainStart.Format("2006-01-02"), f.TrainEnd.Format("2006-01-02"), plural(f.TrainBars, "bar")),
			TestT:  fmt.Sprintf("fold %d tests %s to %s, %s: %s", f.Fold, f.TestStart.Format("2006-01-02"), f.TestEnd.Format("2006-01-02"), plural(f.TestBars, "bar"), f.Status),
		})
	}
	return chart.Folds("folds", "Training and test windows of each fold", rows)
}

func (w walkForward) equity(held chart.Values) []chart.Plot {
	if len(w.Equity) == 0 {
		return nil
	}
	s := chart.Source{Plot: chart.Plot{ID: "stitched", Title: "Out-of-sample equity, the test windows stitched together", Height: 260, Log: true}}
	if w.Several() {
		s.Title += ", an equal part in each dataset"
	}
	line := chart.PlotLine{Name: "equity", Class: "s1"}
	for _, e := range w.Equity {
		s.Micros, line.Values = append(s.Micros, e.Time.UnixMicro()), append(line.Values, e.Equity)
	}
	s.Lines = []chart.PlotLine{line}
	if held != nil {
		s.Lines = append(s.Lines, chart.PlotLine{Name: "buy and hold", Class: "s2", Values: held})
	}
	s.CSV = "/admin/wfo/" + w.WFOID + "/equity.csv"
	return []chart.Plot{s.Part(0, 0)}
}

func (w walkForward) scores() template.HTML {
	var bars []chart.Bar
	for _, f := range w.Folds {
		b := chart.Bar{Name: fmt.Sprintf("fold %d", f.Fold), Short: strconv.Itoa(f.Fold), Value: math.NaN(), Class: "good"}
		if f.ScoreOOS != nil {
			if b.Value = *f.ScoreOOS; b.Value < 0 {
				b.Class = "bad"
			}
		}
		bars = append(bars, b)
	}
	return chart.Bars("scores", "Out-of-sample score of each fold's choice", 180, bars)
}

// stability draws the best candidates' scores on every fold: a row each.
func (w walkForward) stability() template.HTML {
	const most = 12
	top := w.Candidates()
	top = top[:min(len(top), most)]
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
	return chart.Heat("candidates", "Scores of the best candidates on every fold", x, y, cells, -1, "")
}

// NewWalkForward handles GET /admin/wfo/new.
func (p *Pages) NewWalkForward(c echo.Context) error {
	v, err := p.page(c, "Walk-forward", "New walk-forward")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "tune_new", err)
	}
	form := tuneForm{
		WFO: true, Strategy: c.QueryParam("strategy"), Dataset: c.QueryParam("dataset"), Side: "both", Search: "grid", Seed: "1", Objective: "sharpe",
		MaxDrawdown: noDrawdownLimit, MinTrades: defaultMinTrades, Commission: "0.002", TrainDays: "730", TestDays: "180", MinFolds: "3", TopK: "10",
	}
	if again := c.QueryParam("again"); again != "" && form.Strategy == "" {
		var w walkForward
		if err := p.get(c, v, "/backtests/wfo/"+url.PathEscape(again), url.Values{"candidates": {"0"}}, &w); err != nil {
			return err
		}
		if form, err = formOfWalkForward(w); err != nil {
			return err
		}
	}
	if from := c.QueryParam("from"); from != "" && form.Strategy == "" {
		var t tune
		if err := p.get(c, v, "/backtests/tunes/"+url.PathEscape(from), nil, &t); err != nil {
			return err
		}
		of, err := formOf(t)
		if err != nil {
			return err
		}
		of.WFO, of.OOSRatio = true, ""
		of.TrainDays, of.TestDays, of.MinFolds, of.TopK = form.TrainDays, form.TestDays, form.MinFolds, form.TopK
		form = of
	}
	return p.showTuneForm(c, v, http.StatusOK, form, nil)
}

// formOfWalkForward fills the form with what a walk-forward asked for.
func formOfWalkForward(w walkForward) (tuneForm, error) {
	form, err := formOf(tune{Tune: types.Tune{Dataset: w.WFO.Dataset, Datasets: w.Datasets, Spec: w.Spec}})
	if err != nil {
		return form, err
	}
	text := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	is := func(flag *bool) bool { return flag != nil && *flag }
	form.WFO, form.OOSRatio = true, ""
	form.TrainDays, form.TestDays, form.StepDays = text(w.WFOConfig.TrainDays), text(w.WFOConfig.TestDays), text(w.WFOConfig.StepDays)
	form.MinFolds, form.TopK = text(w.WFOConfig.MinFolds), text(w.WFOConfig.LeaderboardTopK)
	form.Anchored, form.AllowPartial = is(w.WFOConfig.Anchored), is(w.WFOConfig.AllowPartial)
	members := form.begin()
	if members["wfo_config"], err = membersOf(w.WFOConfig); err != nil { // from and to are not in the form
		return form, err
	}
	return form, form.base(members)
}

// WalkForwardEquity handles GET /admin/wfo/:id/equity.csv: the API's own values.
func (p *Pages) WalkForwardEquity(c echo.Context) error {
	v, err := p.page(c, "Walk-forward", "Walk-forward")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	wanted := url.Values{"format": {"csv"}}
	if dataset := c.QueryParam("dataset"); dataset != "" {
		wanted.Set("dataset", dataset)
	}
	answer, err := p.call(c, v, Request{Method: http.MethodGet, Path: "/backtests/wfo/" + url.PathEscape(c.Param("id")) + "/equity?" + wanted.Encode()})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="equity.csv"`)
	return c.Blob(http.StatusOK, "text/csv; charset=utf-8", answer.Body)
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
