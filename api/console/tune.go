package console

import (
	"context"
	"html/template"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// tuneData is one tune with its charts.
type tuneData struct {
	Tune             tune
	Split            bool
	Winner           *types.Entry
	Nearest          *nearest // in place of a leaderboard
	Axes             []string
	X, Y, Of         string
	Figures          []choice
	Heat, Scatter    template.HTML
	HeatNote         string
	Equity, Drawdown template.HTML
	EquityNote       string
	Space            []spaceLine
	Reasons          []reasonLine
	Orders           []orderTab
	Trials           []trialLine
	TrialsNote       string
	Pager            pager
	Jobs             []Job
}

// mostJobs is how many jobs of a tune or a walk-forward its page lists.
const mostJobs = 20

type choice struct{ Value, Name string }

type spaceLine struct{ Name, Range string }

type reasonLine struct {
	Why   string
	Count int
}

type orderTab struct {
	Name, Href string
	Current    bool
}

type trialLine struct{ types.Trial }

// Is reports whether the line is the trial of that index.
func (t trialLine) Is(index *int) bool { return index != nil && *index == t.Index }

// Tune handles GET /admin/tunes/:id.
func (p *Pages) Tune(c echo.Context) error {
	v, err := p.page(c, "Tunes", "Tune")
	if err != nil {
		return err
	}
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || v.Workspace == nil {
		return notFound()
	}
	ctx := c.Request().Context()
	data := tuneData{Figures: []choice{{"best", "best score"}, {"mean", "mean score"}, {"oos", "best out of sample"}, {"count", "trials"}}}
	if err := p.get(c, v, "/backtests/tunes/"+id.String(), url.Values{"leaderboard": {"1"}}, &data.Tune); err != nil {
		return err
	}
	v.Title = data.Tune.StrategyName + " · " + data.Tune.Dataset()
	if !data.Tune.Ended() {
		v.Topics = "backtests"
	}
	data.Split = data.Tune.Spec.OOSRatio != nil || data.Tune.Spec.Window != nil
	data.Winner = data.Tune.best()
	data.Space = spaceOf(data.Tune.Spec)
	stored, err := p.opts.Reads.StoredTune(ctx, v.Workspace.ID, id)
	if err != nil {
		return err
	}
	data.reasons(stored)
	if err := p.findNearest(c, v, &data); err != nil {
		return err
	}
	if err := p.drawSurface(ctx, c, stored, &data); err != nil {
		return err
	}
	if err := p.drawCourse(ctx, stored, &data); err != nil {
		return err
	}
	if err := p.listTrials(c, v, &data); err != nil {
		return err
	}
	if data.Jobs, err = p.opts.Reads.Jobs(ctx, v.Workspace.ID, "tune_id", id, mostJobs); err != nil {
		return err
	}
	v.Data = data
	return p.render(c, http.StatusOK, "tune", v)
}

func spaceOf(spec types.Spec) []spaceLine {
	var space []spaceLine
	for _, name := range slices.Sorted(maps.Keys(spec.ParamSpace)) {
		r := spec.ParamSpace[name]
		values := sweep.Range{Values: r.Values, Low: r.Low, High: r.High, Step: r.Step, Log: r.Log, Type: r.Type}
		space = append(space, spaceLine{name, values.String()})
	}
	return space
}

// reasons are why trials are not on the leaderboard, the commonest first.
func (d *tuneData) reasons(t *StoredTune) {
	for why, n := range t.Reasons {
		d.Reasons = append(d.Reasons, reasonLine{why, n})
	}
	slices.SortFunc(d.Reasons, func(a, b reasonLine) int { return b.Count - a.Count })
}

// drawSurface reads every finished trial once, shard by shard, into the heat map and the scatter.
func (p *Pages) drawSurface(ctx context.Context, c echo.Context, t *StoredTune, data *tuneData) error {
	data.Axes = slices.Sorted(maps.Keys(t.Spec.ParamSpace))
	data.X, data.Y = pick(c.QueryParam("x"), data.Axes, 0), pick(c.QueryParam("y"), data.Axes, 1)
	if data.X == data.Y && len(data.Axes) > 1 {
		data.Y = data.Axes[(slices.Index(data.Axes, data.X)+1)%len(data.Axes)]
	}
	data.Of = c.QueryParam("of")
	if !slices.ContainsFunc(data.Figures, func(f choice) bool { return f.Value == data.Of }) {
		data.Of = "best"
	}
	s := newSurface(t.Spec, data.X, data.Y)
	if err := p.opts.Reads.EachShard(ctx, t, s.add); err != nil {
		return err
	}
	var won map[string]float64
	if data.Winner != nil {
		won = data.Winner.Params
	}
	data.Heat, data.HeatNote = s.heat(data.Of, won)
	markX, markY := math.NaN(), math.NaN()
	if data.Winner != nil && data.Winner.ScoreIS != nil && data.Winner.ScoreOOS != nil {
		markX, markY = *data.Winner.ScoreIS, *data.Winner.ScoreOOS
	}
	if data.Split {
		data.Scatter = chart.Scatter("Score out of sample over score in sample, every trial", "in sample", "out of sample", s.is, s.oos, markX, markY, "the best trial")
	}
	return nil
}

func pick(wanted string, known []string, otherwise int) string {
	if slices.Contains(known, wanted) {
		return wanted
	}
	if len(known) == 0 {
		return ""
	}
	return known[min(otherwise, len(known)-1)]
}

// drawCourse runs the winner again, which takes milliseconds, for its equity.
func (p *Pages) drawCourse(ctx context.Context, t *StoredTune, data *tuneData) error {
	data.EquityNote = "The best trial is known once all trials have ended."
	switch t.Status {
	case types.TuneCompleted:
		data.EquityNote = "No trial met the limits."
	case types.TuneFailed, types.TuneCanceled:
		data.EquityNote = "It ended before its trials were ranked."
	}
	if data.Winner == nil || t.Status != types.TuneCompleted {
		return nil
	}
	course, bars, err := p.replay(ctx, t, data.Winner.Params)
	if err != nil {
		return err
	}
	equity := []chart.Series{{Name: "in sample", Class: "s1", Time: window(bars, course.IS), Values: course.EquityIS}}
	down := []chart.Series{{Name: "drawdown", Class: "down", Time: window(bars, course.IS), Values: drawdown(course.EquityIS), Area: true}}
	var spans, unnamed []chart.Span // the second chart stands below the first
	if course.OOS.Len() > 0 {
		times := window(bars, course.OOS)
		equity = append(equity, chart.Series{Name: "out of sample", Class: "s2", Time: times, Values: course.EquityOOS})
		down = append(down, chart.Series{Name: "drawdown", Class: "down", Time: times, Values: drawdown(course.EquityOOS), Area: true})
		spans = append(spans, chart.Span{From: times[0], To: times[len(times)-1], Name: "out of sample"})
		unnamed = append(unnamed, chart.Span{From: times[0], To: times[len(times)-1]})
	}
	on := ""
	if len(t.Spec.Datasets) > 0 {
		on = " on " + t.Dataset
	}
	data.Equity = chart.Lines("Equity of the best trial"+on+"; each part begins with the account's cash", 240, equity, spans...)
	data.Drawdown = chart.Lines("Drawdown of the best trial"+on+" in percent", 130, down, unnamed...)
	return nil
}

// replay runs a trial of a tune again, on the first of its datasets.
func (p *Pages) replay(ctx context.Context, t *StoredTune, params map[string]float64) (*sweep.Replay, *backtest.Bars, error) {
	series, err := p.opts.Reads.Series(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	if err := p.opts.Reads.Bind(ctx, t); err != nil {
		return nil, nil, err
	}
	plan, faults := sweep.NewPlanOver(t.Spec, series)
	if len(faults) > 0 {
		return nil, nil, asFault(t, faults[0])
	}
	course, faults := plan.Replay(params)
	if len(faults) > 0 {
		return nil, nil, asFault(t, faults[0])
	}
	return course, series[0].Bars, nil
}

func window(bars *backtest.Bars, w backtest.Window) []int64 { return bars.Time[w.From:w.To] }

// drawdown is how far each equity is below the highest before it, in percent, as a negative number.
func drawdown(equity []float64) []float64 {
	down := make([]float64, len(equity))
	peak := math.Inf(-1)
	for i, e := range equity {
		peak = math.Max(peak, e)
		down[i] = 100 * (e/peak - 1)
	}
	return down
}

// listTrials shows one page of trials: best first once they are ranked, else by index.
func (p *Pages) listTrials(c echo.Context, v *view, data *tuneData) error {
	ranked := data.Tune.Status == "completed"
	query := pageQuery(c, "sort", "status", "cursor")
	query.Set("limit", "50")
	if !ranked {
		query.Set("sort", "index")
	} else if query.Get("sort") == "" {
		query.Set("sort", "score")
	}
	var found types.List[types.Trial]
	if err := p.get(c, v, "/backtests/tunes/"+data.Tune.TuneID+"/trials", query, &found); err != nil {
		return err
	}
	for _, trial := range found.Items {
		data.Trials = append(data.Trials, trialLine{trial})
	}
	data.TrialsNote = "No trial has ended yet."
	if query.Get("status") != "" {
		data.TrialsNote = "No trial of this kind on this page."
	}
	keep := url.Values{}
	for _, name := range []string{"x", "y", "of"} {
		if value := c.QueryParam(name); value != "" {
			keep.Set(name, value)
		}
	}
	tab := func(name, sort, status string) {
		keep.Set("sort", sort)
		keep.Del("status")
		if status != "" {
			keep.Set("status", status)
		}
		data.Orders = append(data.Orders, orderTab{name, "?" + keep.Encode() + "#h-trials", query.Get("sort") == sort && query.Get("status") == status})
	}
	if ranked {
		tab("Best first", "score", "")
	}
	tab("By number", "index", "")
	tab("Skipped", "index", "skipped")
	tab("Failed", "index", "failed")
	keep.Set("sort", query.Get("sort"))
	keep.Set("cursor", query.Get("cursor"))
	if status := query.Get("status"); status != "" {
		keep.Set("status", status)
	} else {
		keep.Del("status")
	}
	data.Pager = newPager(c, keep, found.NextCursor)
	return nil
}
