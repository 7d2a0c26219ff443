package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
	"millrace/jobs/backtest/report"
)

// mostDrawdowns is how many of the worst drawdowns a page lists.
const mostDrawdowns = 10

// trialData is the page of one backtest: a trial of a tune, or a single run.
type trialData struct {
	Tune       *tune        // nil: a single run
	Trial      *types.Trial // of the tune
	Rank       *int
	RunID      string
	Strategy   string
	Dataset    string
	Datasets   []string // of a tune over several
	At         string   // the page's own address
	ScriptID   string
	CreatedAt  time.Time
	ArchivedAt *time.Time // of a run
	Params     string
	Notes      []string
	IS         *types.Metrics
	OOS        *types.Metrics
	Figures    []metricLine
	Plots      []chart.Plot
	NoPlots    string // why the strategy shows no lines, or not all
	Trades     []tradeLine
	Orders     map[string]string // addresses that sort the trades by a column
	Sorted     string
	Left       int  // trades that the page leaves out
	Signals    bool // orders have names of their own
	Years      []report.Year
	Drawdowns  []report.Drawdown
	Curl       string
	Python     string
	Compare    string // what compare calls it
	OutOfStart string // where the out-of-sample part begins
}

// metricLine is one figure, in sample and out of sample.
type metricLine struct {
	Name    string
	IS, OOS string
	Why     string // it is undefined
}

// Trial handles GET /admin/tunes/:id/trials/:index.
func (p *Pages) Trial(c echo.Context) error {
	v, err := p.page(c, "Tunes", "Trial")
	if err != nil {
		return err
	}
	stored, data, err := p.findTrial(c, v)
	if err != nil {
		return err
	}
	v.Plots, v.Data = true, data
	if _, ok := recall[*result](p.memory, replayKey(stored, data.Trial.Params, data.Dataset)); !ok && isLong(data.Strategy, stored.Bars) && !wantsWhole(c) {
		v.Late = plural(stored.Bars, "bar")
		return p.render(c, http.StatusOK, "trial", v)
	}
	found, err := p.replay(c.Request().Context(), stored, data.Trial.Params, data.Dataset)
	if err != nil {
		return err
	}
	body, err := runBody(stored, data.Dataset, data.Trial.Params)
	if err != nil {
		return err
	}
	query := ""
	if len(data.Datasets) > 1 {
		query = "&dataset=" + url.QueryEscape(data.Dataset)
	}
	if err := data.fill(c, found, body, query); err != nil {
		return err
	}
	return p.render(c, http.StatusOK, "trial", v)
}

// findTrial reads a trial that has ended, and its tune.
func (p *Pages) findTrial(c echo.Context, v *view) (*StoredTune, *trialData, error) {
	id, err := uuid.Parse(c.Param("id"))
	index, numErr := strconv.Atoi(c.Param("index"))
	if err != nil || numErr != nil || v.Workspace == nil {
		return nil, nil, notFound()
	}
	ctx := c.Request().Context()
	data := &trialData{Tune: &tune{}, At: fmt.Sprintf("/admin/tunes/%s/trials/%d", id, index), Compare: fmt.Sprintf("%s:%d", id, index)}
	if err := p.get(c, v, "/backtests/tunes/"+id.String(), url.Values{"leaderboard": {"1"}}, data.Tune); err != nil {
		return nil, nil, err
	}
	stored, err := p.opts.Reads.StoredTune(ctx, v.Workspace.ID, id)
	if err != nil {
		return nil, nil, err
	}
	if data.Trial, err = p.opts.Reads.Trial(ctx, stored, index); err != nil {
		return nil, nil, err
	}
	ranks, err := p.ranksOf(c, v, data.Tune)
	if err != nil {
		return nil, nil, err
	}
	if rank, ok := ranks[index]; ok {
		data.Rank = &rank
	}
	data.Datasets = data.Tune.Datasets
	if data.Dataset = c.QueryParam("dataset"); !slices.Contains(data.Datasets, data.Dataset) {
		data.Dataset = data.Datasets[0]
	}
	data.Strategy, data.CreatedAt = data.Tune.StrategyName, data.Tune.CreatedAt
	data.Params = p.paramsOf(c, v, stored.Spec.Script != nil, data.Tune.Spec.Script, data.Trial.Params, data)
	v.Title = fmt.Sprintf("Trial %d · %s · %s", index, data.Strategy, data.Dataset)
	return stored, data, nil
}

// ranksOf are the ranks of a tune's best trials.
func (p *Pages) ranksOf(c echo.Context, v *view, of *tune) (map[int]int, error) {
	if of.Status != types.TuneCompleted || len(of.Leaderboard) == 0 {
		return nil, nil
	}
	key := keyOfTune(v.Workspace.ID, of.TuneID, of.CompletedAt) + "/ranks"
	if ranks, ok := recall[map[int]int](p.memory, key); ok {
		return ranks, nil
	}
	var full tune
	if err := p.get(c, v, "/backtests/tunes/"+of.TuneID, url.Values{"leaderboard": {"1000"}}, &full); err != nil {
		return nil, err
	}
	ranks := make(map[int]int, len(full.Leaderboard))
	for _, entry := range full.Leaderboard {
		ranks[entry.Value.TrialIndex] = entry.Value.Rank
	}
	p.memory.keep(key, ranks, 64*(len(ranks)+1))
	return ranks, nil
}

// paramsOf writes parameters, those of a script by the names of its options, and notes the script.
func (p *Pages) paramsOf(c echo.Context, v *view, scripted bool, script *types.Script, values map[string]float64, data *trialData) string {
	if !scripted || script == nil {
		return paramText(values)
	}
	// A script that is deleted has no page, and its options have no names any more.
	var own types.Strategy
	if p.get(c, v, "/strategies/"+url.PathEscape(script.ID), nil, &own) != nil {
		return paramText(values)
	}
	data.ScriptID = script.ID
	return named(&own, values)
}

// named are the values of a script's inputs, options by their names.
func named(s *types.Strategy, values map[string]float64) string {
	var texts []string
	for _, spec := range s.Params {
		if value, ok := values[spec.Name]; ok {
			texts = append(texts, spec.Name+" "+valueText(spec, value))
		}
	}
	return strings.Join(texts, " · ")
}

// fill makes everything that the page shows of a result.
func (d *trialData) fill(c echo.Context, r *result, body map[string]any, query string) (err error) {
	if d.IS, err = asMetrics(&r.MetricsIS); err != nil {
		return err
	}
	if d.OOS, err = asMetrics(r.MetricsOOS); err != nil {
		return err
	}
	d.Figures = figures(d.IS, d.OOS)
	made := r.parts(d.At, query)
	d.Plots, d.Years, d.Drawdowns = made.plots, made.years, made.drawdowns
	d.NoPlots = r.NoPlots
	if r.OOS.Len() > 0 {
		d.OutOfStart = time.UnixMicro(r.Bars.Time[r.OOS.From]).UTC().Format(time.DateOnly)
	}
	d.listTrades(c, r, query)
	d.Curl, d.Python, err = snippets(body)
	return err
}

// TrialPlot handles GET /admin/tunes/:id/trials/:index/plot.
func (p *Pages) TrialPlot(c echo.Context) error {
	v, err := p.page(c, "Tunes", "Trial")
	if err != nil {
		return err
	}
	found, data, err := p.trialResult(c, v)
	if err != nil {
		return err
	}
	query := ""
	if len(data.Datasets) > 1 {
		query = "&dataset=" + url.QueryEscape(data.Dataset)
	}
	return servePlot(c, found, data.At, query)
}

func (p *Pages) trialResult(c echo.Context, v *view) (*result, *trialData, error) {
	stored, data, err := p.findTrial(c, v)
	if err != nil {
		return nil, nil, err
	}
	found, err := p.replay(c.Request().Context(), stored, data.Trial.Params, data.Dataset)
	return found, data, err
}

// TrialTrades handles GET /admin/tunes/:id/trials/:index/trades.csv.
func (p *Pages) TrialTrades(c echo.Context) error {
	v, err := p.page(c, "Tunes", "Trial")
	if err != nil {
		return err
	}
	found, _, err := p.trialResult(c, v)
	if err != nil {
		return err
	}
	return writeTradesCSV(c, found)
}
