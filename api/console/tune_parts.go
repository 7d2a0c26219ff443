package console

import (
	"context"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// tuneParts are the parts of a tune's page that are made of all of its trials, which are read once for all of them,
// shard by shard. Those of a completed tune do not change: they are kept in memory.
type tuneParts struct {
	stored *StoredTune
	data   *tuneData
	drawn  *drawnTrials  // nil: not in memory
	listed *listedTrials // nil: not in memory
	table  sweep.Choice
}

// drawnTrials is what is drawn of all trials.
type drawnTrials struct {
	heat, scatter template.HTML
	heatNote      string
	levels        []float64
	explored      *explored
}

// listedTrials is a page of the table of trials.
type listedTrials struct {
	trials  []trialLine
	matched int
}

// partsOf reads what the address chooses, and takes from memory what is there.
func (p *Pages) partsOf(c echo.Context, t *StoredTune, data *tuneData) *tuneParts {
	data.Axes = slices.Sorted(maps.Keys(t.Spec.ParamSpace))
	data.X, data.Y = pick(c.QueryParam("x"), data.Axes, 0), pick(c.QueryParam("y"), data.Axes, 1)
	if data.X == data.Y && len(data.Axes) > 1 {
		data.Y = data.Axes[(slices.Index(data.Axes, data.X)+1)%len(data.Axes)]
	}
	data.Of = c.QueryParam("of")
	if !slices.ContainsFunc(data.Figures, func(f choice) bool { return f.Value == data.Of }) {
		data.Of = "best"
	}
	parts := &tuneParts{stored: t, data: data, table: data.chooseTrials(c, t)}
	if t.Status == types.TuneCompleted {
		parts.drawn, _ = recall[*drawnTrials](p.memory, parts.drawnKey())
		parts.listed, _ = recall[*listedTrials](p.memory, parts.listedKey())
	}
	return parts
}

func (t *tuneParts) drawnKey() string {
	return fmt.Sprintf("%s/drawn/%q/%q/%s", t.key(), t.data.X, t.data.Y, t.data.Of)
}

func (t *tuneParts) listedKey() string {
	return fmt.Sprintf("%s/listed/%q", t.key(), fmt.Sprint(t.table))
}

func (t *tuneParts) nearestKey() string { return t.key() + "/nearest" }

func (t *tuneParts) key() string {
	return keyOfTune(t.stored.WorkspaceID, t.stored.ID.String(), t.data.Tune.CompletedAt)
}

// keyOfTune begins the keys of what was made of a completed tune.
func keyOfTune(workspace uuid.UUID, tune string, completed *time.Time) string {
	return fmt.Sprint(workspace, "/tune/", tune, "/", completed)
}

// waitFor is what takes long to read before the page is whole; "": nothing does.
func (t *tuneParts) waitFor() string {
	switch n := t.data.Tune.TrialsCompleted; {
	case t.data.Tune.TrialsDroppedAt != nil:
	case n > lateTrials && (t.drawn == nil || t.listed == nil):
		return plural(n, "trial")
	}
	if t.data.Winner != nil && t.drawn == nil && isLong(t.data.Tune.StrategyName, t.stored.Bars) {
		return plural(t.stored.Bars, "bar")
	}
	return ""
}

// read makes the parts that are not in memory of one pass over the trials, and fills the page.
func (t *tuneParts) read(ctx context.Context, p *Pages) error {
	var adds []func(*sweep.Columns)
	var finish []func()
	if t.drawn == nil {
		s, survey := newSurface(t.stored.Spec, t.data.X, t.data.Y), sweep.NewSurvey(t.stored.Spec, t.data.Tune.NTrials)
		adds = append(adds, s.add, survey.Add)
		finish = append(finish, func() {
			t.drawn = t.draw(s, survey)
			t.keep(p, t.drawnKey(), t.drawn, t.drawn.bytes())
		})
	}
	if t.listed == nil {
		chooser, fault := sweep.NewChooser(t.stored.Spec, t.table)
		if fault != nil {
			return fmt.Errorf("choose trials: %w", fault)
		}
		adds = append(adds, chooser.Add)
		finish = append(finish, func() {
			t.listed = &listedTrials{matched: chooser.Matched()}
			for _, trial := range chooser.Trials() {
				t.listed.trials = append(t.listed.trials, trialLine{Trial: asTrial(trial)})
			}
			t.keep(p, t.listedKey(), t.listed, 1024*(len(t.listed.trials)+1))
		})
	}
	if len(adds) > 0 {
		err := p.eachShard(ctx, t.stored, t.data, func(c *sweep.Columns) {
			for _, add := range adds {
				add(c)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, done := range finish {
		done()
	}
	t.data.Heat, t.data.HeatNote, t.data.Levels = t.drawn.heat, t.drawn.heatNote, t.drawn.levels
	t.data.Scatter, t.data.Explored = t.drawn.scatter, t.drawn.explored
	t.data.Trials, t.data.Table.Matched = t.listed.trials, t.listed.matched
	t.data.page(t.table.From)
	return nil
}

// keep puts a part into memory, if the tune has all of its trials for good.
func (t *tuneParts) keep(p *Pages, key string, part any, bytes int) {
	if t.stored.Status == types.TuneCompleted && t.data.Tune.TrialsDroppedAt == nil {
		p.memory.keep(key, part, bytes)
	}
}

// draw makes the charts.
func (t *tuneParts) draw(s *surface, survey *sweep.Survey) *drawnTrials {
	data := t.data
	var won map[string]float64
	if data.Winner != nil {
		won = data.Winner.Params
	}
	at := "/admin/tunes/" + data.Tune.TuneID + "/trials/"
	d := &drawnTrials{}
	d.heat, d.heatNote, d.levels = s.heat(data.Of, won, at)
	markX, markY := math.NaN(), math.NaN()
	if data.Winner != nil && data.Winner.ScoreIS != nil && data.Winner.ScoreOOS != nil {
		markX, markY = *data.Winner.ScoreIS, *data.Winner.ScoreOOS
	}
	if data.Split {
		d.scatter = s.scatter(markX, markY, at)
	}
	d.explored = explore(survey, at)
	return d
}

// bytes is about what the charts take in memory.
func (d *drawnTrials) bytes() int {
	n := 4096 + len(d.heat) + len(d.scatter)
	if d.explored == nil {
		return n
	}
	for _, svg := range d.explored.Slices {
		n += len(svg)
	}
	n += len(d.explored.Parallel)
	if d.explored.History != nil {
		n += 16 * len(d.explored.History.Time) * (1 + len(d.explored.History.Lines))
	}
	return n
}
