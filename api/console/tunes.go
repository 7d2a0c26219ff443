package console

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// Tunes handles GET /admin/tunes.
func (p *Pages) Tunes(c echo.Context) error {
	v, err := p.page(c, "Tunes", "Tunes")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "tunes", err)
	}
	v.Topics = "backtests"
	return renderRuns[tune](p, c, v, "tunes", "/backtests/tunes", []string{"queued", "running", "completed", "failed", "canceled"},
		func(t tune) string { return t.TuneID })
}

// renderRuns renders a page of the list at a path of the API, narrowed to a status and a strategy.
func renderRuns[T any](p *Pages, c echo.Context, v *view, name, path string, statuses []string, id func(T) string) error {
	query := pageQuery(c, "status", "strategy", "archived", "cursor")
	var found types.List[T]
	if err := p.get(c, v, path, query, &found); err != nil {
		return err
	}
	strategies, err := p.strategies(c, v)
	if err != nil {
		return err
	}
	ids := make([]string, len(found.Items))
	for i, run := range found.Items {
		ids[i] = id(run)
	}
	labels, err := p.labelsOf(c, v, ids)
	if err != nil {
		return err
	}
	v.Data = struct {
		Runs                 []T
		Labels               map[string]types.Label
		Status, Strategy     string
		Statuses, Strategies []string
		Selects, Archived    bool
		Pager                pager
	}{
		found.Items, labels, query.Get("status"), query.Get("strategy"), statuses, namesOf(strategies), c.QueryParam("select") != "", query.Get("archived") != "", newPager(c, query, found.NextCursor),
	}
	return p.render(c, http.StatusOK, name, v)
}

// orEmpty renders a page that has no workspace to show.
func (p *Pages) orEmpty(c echo.Context, v *view, name string, err error) error {
	if err != nil {
		return err
	}
	return p.render(c, http.StatusOK, name, v)
}

func newPager(c echo.Context, query url.Values, next *string) pager {
	at := pager{Here: query.Get("cursor") != ""}
	query.Del("cursor")
	at.First = c.Request().URL.Path + "?" + query.Encode()
	if next != nil {
		query.Set("cursor", *next)
		at.Next = c.Request().URL.Path + "?" + query.Encode()
	}
	return at
}

// What a form has where nothing was chosen, which is what the API takes where nothing is named.
const (
	noDrawdownLimit  = "100"
	defaultMinTrades = "5"
)

// tuneForm is what the submission form holds, as text.
type tuneForm struct {
	WFO                                                                      bool // a walk-forward over the same search
	TrainDays, TestDays, StepDays, MinFolds, TopK                            string
	Anchored, AllowPartial                                                   bool
	Key, Strategy, Dataset, Side, Search, NTrials, Seed, Objective, OOSRatio string
	MaxDrawdown, MinTrades, Commission, Constraints, Permutations, Intrabar  string
	More                                                                     []string // datasets beside Dataset
	Aggregate                                                                string
	Params                                                                   map[string]string
	Advanced                                                                 map[string]string // by the API's paths
	Base                                                                     string            // the request that it began with, as JSON: what the form does not show stays
}

// tuneFormData is the form and what it offers.
type tuneFormData struct {
	Form                        tuneForm
	Datasets                    []types.Dataset
	Strategies                  []types.Strategy
	Strategy                    *types.Strategy // the chosen one
	Sides, Searches, Objectives []string
	Aggregates                  []string
	faults                      map[string]string
}

// Version is a dataset of the form when it is an exact version, as the list has the latest ones only.
func (d tuneFormData) Version(of string) string {
	listed := func(set types.Dataset) bool { return set.Name == of || set.DatasetID == of }
	if of == "" || slices.ContainsFunc(d.Datasets, listed) {
		return ""
	}
	return of
}

// FaultOf is what the API said against a field, or against a part of it.
func (d tuneFormData) FaultOf(field string) string {
	for name, message := range d.faults {
		if name == field || strings.HasPrefix(name, field+".") || strings.HasPrefix(name, field+"[") {
			return message
		}
	}
	return ""
}

// NewTune handles GET /admin/tunes/new: an empty form, or that of a tune to run again.
func (p *Pages) NewTune(c echo.Context) error {
	v, err := p.page(c, "Tunes", "New tune")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "tune_new", err)
	}
	form := tuneForm{
		Strategy: c.QueryParam("strategy"), Dataset: c.QueryParam("dataset"), Side: "both", Search: "grid", Seed: "1",
		Objective: "sharpe", OOSRatio: "0.3", MaxDrawdown: noDrawdownLimit, MinTrades: defaultMinTrades, Commission: "0.002",
	}
	if from := c.QueryParam("from"); from != "" && form.Strategy == "" {
		var t tune
		if err := p.get(c, v, "/backtests/tunes/"+url.PathEscape(from), nil, &t); err != nil {
			return err
		}
		if form, err = formOf(t); err != nil {
			return err
		}
	}
	return p.showTuneForm(c, v, http.StatusOK, form, nil)
}

// formOf fills the form with what a tune asked for.
func formOf(t tune) (tuneForm, error) {
	s, err := searchOf(t.Spec)
	if err != nil {
		return tuneForm{}, err
	}
	s.Normalize()
	form := tuneForm{
		Strategy: s.StrategyName, Dataset: t.Datasets[0], Side: string(s.Side), Search: string(s.SearchType),
		Seed: strconv.FormatUint(*s.Seed, 10), Objective: string(s.ObjectiveType), Constraints: strings.Join(s.Constraints, "\n"),
		MaxDrawdown: plain(*s.Gates.MaxDrawdownPct), MinTrades: strconv.Itoa(*s.Gates.MinTrades), Commission: "0.002",
		Params: map[string]string{}, Intrabar: s.IntrabarDataset,
	}
	if s.Account.Commission != nil {
		form.Commission = plain(float64(*s.Account.Commission))
	} else if s.Script != nil {
		form.Commission = "" // the script's own
	}
	if len(s.Datasets) > 0 {
		form.Dataset, form.More, form.Aggregate = s.Datasets[0], s.Datasets[1:], string(s.Aggregate)
	}
	if n := s.Permutations(); n > 0 {
		form.Permutations = strconv.Itoa(n)
	}
	if s.NTrials != nil {
		form.NTrials = strconv.Itoa(*s.NTrials)
	}
	if s.OOSRatio != nil {
		form.OOSRatio = plain(*s.OOSRatio)
	}
	for name, r := range s.ParamSpace {
		form.Params[name] = r.String()
	}
	return form, form.keep(&s)
}

func plain(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func (p *Pages) showTuneForm(c echo.Context, v *view, status int, form tuneForm, problem *Problem) error {
	var sets types.List[types.Dataset]
	if err := p.get(c, v, "/datasets", url.Values{"limit": {"500"}}, &sets); err != nil {
		return err
	}
	all, err := p.strategies(c, v)
	if err != nil {
		return err
	}
	strategy := find(all, form.Strategy)
	if strategy == nil {
		if isScript(form.Strategy) && problem == nil {
			problem = &Problem{Title: "No such script", Detail: form.Strategy + " is not a script of this workspace any more: choose another strategy."}
		}
		strategy = find(all, "sma_cross")
		form.Params = nil
	}
	form.Strategy = strategy.Name
	if form.Params == nil {
		form.Params = map[string]string{}
		for _, spec := range strategy.Params {
			form.Params[spec.Name] = suggestion(spec)
		}
		if isScript(form.Strategy) {
			form.Params, form.Commission = suggested(strategy), ""
		}
		if form.Strategy == "sma_cross" || form.Strategy == "ema_cross" {
			form.Constraints = "fast < slow"
		}
	}
	if form.Key == "" {
		form.Key = "console-" + uuid.NewString()
	}
	data := tuneFormData{
		Form: form, Datasets: sets.Items, Strategies: all, Strategy: strategy,
		Sides: []string{"both", "long", "short"}, faults: map[string]string{},
	}
	for _, s := range sweep.Searches() {
		data.Searches = append(data.Searches, string(s))
	}
	for _, a := range sweep.Aggregates() {
		data.Aggregates = append(data.Aggregates, string(a))
	}
	for _, o := range sweep.Objectives() {
		data.Objectives = append(data.Objectives, string(o))
	}
	if problem != nil {
		for _, fault := range problem.Errors {
			data.faults[fault.Field] = fault.Message
		}
	}
	v.Problem, v.Data = problem, data
	return p.render(c, status, "tune_new", v)
}

// SubmitTune handles POST /admin/tunes.
func (p *Pages) SubmitTune(c echo.Context) error {
	return p.submitForm(c, "Tunes", false, "/backtests/tune", func(answer Answer) (string, error) {
		var made tune
		err := answer.into(&made)
		return "/admin/tunes/" + made.TuneID, err
	})
}

// submitForm makes the form the API's request. Its key makes a double click one submission.
func (p *Pages) submitForm(c echo.Context, section string, wfo bool, path string, made func(Answer) (string, error)) error {
	title := "New tune"
	if wfo {
		title = "New walk-forward"
	}
	v, err := p.page(c, section, title)
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "tune_new", err)
	}
	form := readTuneForm(c, wfo)
	body, faults := form.body()
	if len(faults) > 0 {
		return p.showTuneForm(c, v, http.StatusUnprocessableEntity, form, &Problem{
			Title: "Not submitted", Status: http.StatusUnprocessableEntity, Detail: "Some fields could not be read.", Errors: faults,
		})
	}
	answer, err := p.post(c, v, path, form.Key, body)
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		form.Key = "" // the body will differ
		return p.showTuneForm(c, v, problem.Status, form, problem)
	}
	to, err := made(answer)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, to)
}

func readTuneForm(c echo.Context, wfo bool) tuneForm {
	text := func(name string) string { return strings.TrimSpace(c.FormValue(name)) }
	form := tuneForm{
		Key: text("key"), Strategy: text("strategy_name"), Dataset: text("dataset"), Side: text("side"), Search: text("search_type"),
		NTrials: text("n_trials"), Seed: text("seed"), Objective: text("objective_type"), OOSRatio: text("oos_ratio"),
		MaxDrawdown: text("max_drawdown_pct"), MinTrades: text("min_trades"), Commission: text("commission"),
		Constraints: text("constraints"), Base: text("base"), Advanced: map[string]string{}, Permutations: text("permutations"), Intrabar: text("intrabar_dataset"), Params: map[string]string{}, Aggregate: text("aggregate"),
		WFO: wfo, TrainDays: text("train_days"), TestDays: text("test_days"), StepDays: text("step_days"),
		MinFolds: text("min_folds"), TopK: text("leaderboard_top_k"), Anchored: text("anchored") != "", AllowPartial: text("allow_partial") != "",
	}
	form.More = c.Request().Form["more"] // parsed by the first FormValue
	for _, field := range advancedFields(wfo) {
		form.Advanced[field.Path] = text(field.Path)
	}
	for field := range c.Request().Form {
		if name, ok := strings.CutPrefix(field, "param."); ok {
			form.Params[name] = text(field)
		}
	}
	return form
}

// body makes the form the API's request. What is not a number is reported here; what a number may be
// is reported by the API.
func (f tuneForm) body() (map[string]any, []FieldFault) {
	var faults []FieldFault
	number := func(into map[string]any, name, field, text string) {
		delete(into, name)
		if text == "" {
			return
		}
		if whole, ok := wholeNumber(text); ok {
			into[name] = whole
			return
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			faults = append(faults, FieldFault{Field: field, Message: fmt.Sprintf("%q is not a number", text)})
			return
		}
		into[name] = v
	}
	body, space := f.begin(), map[string]any{}
	maps.Copy(body, map[string]any{
		"dataset": f.Dataset, "strategy_name": f.Strategy, "side": f.Side, "search_type": f.Search, "objective_type": f.Objective,
		"param_space": space, "constraints": lines(f.Constraints),
	})
	if delete(body, "intrabar_dataset"); f.Intrabar != "" {
		body["intrabar_dataset"] = f.Intrabar
	}
	if len(f.More) > 0 {
		delete(body, "dataset")
		body["datasets"] = append([]string{f.Dataset}, f.More...)
		if f.Aggregate != "" {
			body["aggregate"] = f.Aggregate
		}
	}
	number(body, "n_trials", "n_trials", f.NTrials)
	number(body, "seed", "seed", f.Seed)
	if !f.WFO {
		number(body, "oos_ratio", "oos_ratio", f.OOSRatio)
	}
	if delete(body, "evidence"); f.Permutations != "" {
		evidence := map[string]any{}
		number(evidence, "permutations", "evidence.permutations", f.Permutations)
		body["evidence"] = evidence
	}
	for path, text := range map[string]string{
		"gates.max_drawdown_pct": f.MaxDrawdown, "gates.min_trades": f.MinTrades, "account.commission": f.Commission,
	} {
		into, name := parentOf(body, path)
		number(into, name, path, text)
	}
	f.advance(body, number)
	if f.WFO {
		config, _ := parentOf(body, "wfo_config.")
		config["anchored"], config["allow_partial"] = f.Anchored, f.AllowPartial
		for name, text := range map[string]string{
			"train_days": f.TrainDays, "test_days": f.TestDays, "step_days": f.StepDays, "min_folds": f.MinFolds, "leaderboard_top_k": f.TopK,
		} {
			number(config, name, "wfo_config."+name, text)
		}
		body["wfo_config"] = config
	}
	for name, text := range f.Params {
		if text == "" {
			continue
		}
		r, err := sweep.ParseRange(text)
		if err != nil {
			faults = append(faults, FieldFault{Field: "param_space." + name, Message: err.Error()})
			continue
		}
		space[name] = r
	}
	return body, faults
}

func lines(text string) []string {
	all := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}
