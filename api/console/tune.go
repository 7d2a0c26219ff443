package console

import (
	"context"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
	"millrace/jobs/sweep"
)

// tuneData is one tune with its charts.
type tuneData struct {
	Tune          tune
	Split         bool
	Winner        *types.Entry
	Nearest       *nearest // in place of a leaderboard
	Axes          []string
	X, Y, Of      string
	Figures       []choice
	Heat, Scatter template.HTML
	HeatNote      string
	Plots         []chart.Plot // of the best trial
	EquityNote    string
	Space         []spaceLine
	Reasons       []reasonLine
	Levels        []float64 // at which the colours of the heat map begin
	Explored      *explored
	Label         *labelPanel
	Table         trialTable
	Trials        []trialLine
	TrialsNote    string
	Pager         pager
	Jobs          []Job
	keep          url.Values      // of the address, for another page of the table
	script        *types.Strategy // nil: a built-in strategy, or a script that is deleted
}

// CellOf is a trial's cell in a column; a script's option has its name.
func (d tuneData) CellOf(t trialLine, column string) string {
	if value, ok := t.Params[column]; ok && d.script != nil {
		if i := slices.IndexFunc(d.script.Params, func(p types.ParamSpec) bool { return p.Name == column }); i >= 0 {
			return valueText(d.script.Params[i], value)
		}
	}
	return t.Cell(column)
}

// Named writes parameters, those of a script by the names of its options.
func (d tuneData) Named(of any) string {
	if values, ok := of.(map[string]float64); ok && d.script != nil {
		return named(d.script, values)
	}
	return params(of)
}

// mostJobs is how many jobs of a tune or a walk-forward its page lists.
const mostJobs = 20

type choice struct{ Value, Name string }

type spaceLine struct{ Name, Range string }

type reasonLine struct {
	Why   string
	Count int
}

type trialLine struct{ types.Trial }

// Cell is the text of a column.
func (t trialLine) Cell(column string) string { return cellOf(t.Trial, column) }

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
	if own := data.Tune.Spec.Script; own != nil {
		var script types.Strategy
		if p.get(c, v, "/strategies/"+url.PathEscape(own.ID), nil, &script) == nil {
			data.script = &script
		}
	}
	stored, err := p.opts.Reads.StoredTune(ctx, v.Workspace.ID, id)
	if err != nil {
		return err
	}
	data.reasons(stored)
	data.EquityNote = equityNote(stored.Status)
	parts := p.partsOf(c, stored, &data)
	if v.Late = parts.waitFor(); v.Late == "" || wantsWhole(c) {
		v.Late = ""
		if err := p.fillTune(c, v, stored, parts, &data); err != nil {
			return err
		}
	}
	if data.Jobs, err = p.opts.Reads.Jobs(ctx, v.Workspace.ID, "tune_id", id, mostJobs); err != nil {
		return err
	}
	data.Label = p.labelOf(c, v, "tune", id.String())
	v.Plots, v.Data = true, data
	return p.render(c, http.StatusOK, "tune", v)
}

func spaceOf(spec types.Spec) []spaceLine {
	var space []spaceLine
	for _, name := range slices.Sorted(maps.Keys(spec.ParamSpace)) {
		r := spec.ParamSpace[name]
		values := sweep.Range{Values: r.Values, Labels: r.Labels, Low: r.Low, High: r.High, Step: r.Step, Log: r.Log, Type: r.Type}
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

// fillTune makes the parts of the page that are made of every trial, and of the best one run again.
func (p *Pages) fillTune(c echo.Context, v *view, stored *StoredTune, parts *tuneParts, data *tuneData) error {
	if err := p.findNearest(c, v, parts, data); err != nil {
		return err
	}
	if err := parts.read(c.Request().Context(), p); err != nil {
		return err
	}
	return p.drawBest(c.Request().Context(), stored, data)
}

// eachShard is Reads.EachShard, of a tune whose trials were dropped without any: its page shows what is kept.
func (p *Pages) eachShard(ctx context.Context, t *StoredTune, data *tuneData, add func(*sweep.Columns)) error {
	if data.Tune.TrialsDroppedAt != nil {
		return nil
	}
	return p.opts.Reads.EachShard(ctx, t, add)
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

// equityNote is what is shown in place of the best trial's equity.
func equityNote(status types.TuneStatus) string {
	switch status {
	case types.TuneCompleted:
		return "No trial met the limits."
	case types.TuneFailed, types.TuneCanceled:
		return "It ended before its trials were ranked."
	}
	return "The best trial is known once all trials have ended."
}

// drawBest runs the winner again, which takes milliseconds, for its equity.
func (p *Pages) drawBest(ctx context.Context, t *StoredTune, data *tuneData) error {
	if data.Winner == nil || t.Status != types.TuneCompleted {
		return nil
	}
	found, err := p.replay(ctx, t, data.Winner.Params, data.Tune.Datasets[0])
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		data.EquityNote = problem.Detail
		return nil
	}
	at := fmt.Sprintf("/admin/tunes/%s/trials/%d", t.ID, data.Winner.TrialIndex)
	for _, s := range []chart.Source{found.equity(), found.drawdown()} {
		data.Plots = append(data.Plots, linked(s, at, "").Part(0, 0))
	}
	return nil
}
