package console

import (
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
)

// scriptPrefix begins the name of a strategy that is a script.
const scriptPrefix = "pine:"

func isScript(name string) bool { return strings.HasPrefix(name, scriptPrefix) }

// maxScriptForm is how many bytes of an uploaded script are read: the API refuses what is longer.
const maxScriptForm = 256<<10 + 1

// strategies lists the built-in strategies and the workspace's scripts.
func (p *Pages) strategies(c echo.Context, v *view) ([]types.Strategy, error) {
	var found types.List[types.Strategy]
	err := p.get(c, v, "/strategies", nil, &found)
	return found.Items, err
}

// find finds a strategy by its name. A script without a version is its latest.
func find(all []types.Strategy, name string) *types.Strategy {
	var latest *types.Strategy
	for i := range all {
		s := &all[i]
		if s.Name == name {
			return s
		}
		if base, _, _ := strings.Cut(s.Name, "@"); base == name && (latest == nil || s.Version > latest.Version) {
			latest = s
		}
	}
	return latest
}

func namesOf(all []types.Strategy) []string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names
}

// input is an input of a strategy as a form shows it.
type input struct {
	types.ParamSpec
	Range string // what it takes, in words
}

// inputGroup is inputs under one heading, which may be empty.
type inputGroup struct {
	Group  string
	Inputs []input
}

// inputsOf are a strategy's inputs in its order, by the headings that follow each other.
func inputsOf(s *types.Strategy) []inputGroup {
	var groups []inputGroup
	for _, spec := range s.Params {
		if len(groups) == 0 || groups[len(groups)-1].Group != spec.Group {
			groups = append(groups, inputGroup{Group: spec.Group})
		}
		g := &groups[len(groups)-1]
		g.Inputs = append(g.Inputs, input{spec, rangeText(spec)})
	}
	return groups
}

// rangeText says what values a parameter takes, and its default.
func rangeText(p types.ParamSpec) string {
	const unbounded = 1e9
	switch {
	case p.Labels != nil:
		return strings.Join(p.Labels, ", ") + "; default " + valueText(p, p.Default)
	case p.Kind == types.ParamKind(backtest.KindBool):
		return "true or false, default " + valueText(p, p.Default)
	}
	text := "default " + number(p.Default)
	switch low, high := p.Min > -unbounded, p.Max < unbounded; {
	case low && high:
		text = number(p.Min) + " to " + number(p.Max) + ", " + text
	case low:
		text = "from " + number(p.Min) + ", " + text
	case high:
		text = "up to " + number(p.Max) + ", " + text
	}
	return text
}

// valueText is a parameter's value as its script calls it.
func valueText(p types.ParamSpec, v float64) string {
	switch i := int(math.Round(v)); {
	case p.Labels != nil && i >= 0 && i < len(p.Labels):
		return p.Labels[i]
	case p.Kind == types.ParamKind(backtest.KindBool):
		return strconv.FormatBool(v != 0)
	}
	return plain(v)
}

// ownCommission says what an empty commission means.
func ownCommission(s *types.Strategy) string {
	if isScript(s.Name) {
		return ", empty: the script's own"
	}
	return ""
}

// suggested is the space that the API suggests for a script, as the form has it.
func suggested(s *types.Strategy) map[string]string {
	space := map[string]string{}
	for _, spec := range s.Params {
		r, ok := s.ParamSpace[spec.Name]
		switch {
		case !ok:
			space[spec.Name] = ""
		case r.Labels != nil:
			space[spec.Name] = strings.Join(r.Labels, ",")
		case spec.Kind == types.ParamKind(backtest.KindBool):
			space[spec.Name] = "true,false"
		case r.Values != nil:
			var values []string
			for _, v := range r.Values {
				values = append(values, plain(v))
			}
			space[spec.Name] = strings.Join(values, ",")
		case r.Low != nil && r.High != nil && r.Step != nil:
			space[spec.Name] = plain(*r.Low) + ":" + plain(*r.High) + ":" + plain(*r.Step)
		}
	}
	return space
}

// strategiesData is the list of scripts and the form of an upload, with what was refused of one.
type strategiesData struct {
	Scripts      []types.Strategy
	Name, Source string
	Lines        []scriptLine // of a script that was refused
	Selects      bool
	Archived     bool
}

// Strategies handles GET /admin/strategies.
func (p *Pages) Strategies(c echo.Context) error {
	return p.showStrategies(c, http.StatusOK, strategiesData{}, nil)
}

func (p *Pages) showStrategies(c echo.Context, status int, data strategiesData, problem *Problem) error {
	v, err := p.page(c, "Strategies", "Strategies")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "strategies", err)
	}
	query := pageQuery(c, "archived")
	data.Selects, data.Archived = c.QueryParam("select") != "", query.Get("archived") != ""
	var listed types.List[types.Strategy]
	if err := p.get(c, v, "/strategies", query, &listed); err != nil {
		return err
	}
	all := listed.Items
	data.Scripts = slices.DeleteFunc(all, func(s types.Strategy) bool { return s.StrategyID == "" })
	if problem != nil {
		var found []types.Diagnostic
		problem.Errors = slices.DeleteFunc(problem.Errors, func(f FieldFault) bool {
			if f.Line > 0 {
				found = append(found, types.Diagnostic{Line: f.Line, Column: f.Column, Code: f.Code, Severity: "error", Message: f.Message, Advice: f.Advice})
			}
			return f.Line > 0
		})
		if len(found) > 0 {
			data.Lines = linesOf(data.Source, found)
		}
	}
	v.Topics, v.Problem, v.Data = "backtests", problem, data
	return p.render(c, status, "strategies", v)
}

// AddStrategy handles POST /admin/strategies: a file, or a text that was pasted.
func (p *Pages) AddStrategy(c echo.Context) error {
	v, err := p.page(c, "Strategies", "Strategies")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "strategies", err)
	}
	data := strategiesData{Name: strings.TrimSpace(c.FormValue("name")), Source: strings.ReplaceAll(c.FormValue("source"), "\r\n", "\n")}
	if file, err := c.FormFile("file"); err == nil && file.Size > 0 {
		opened, err := file.Open()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(io.LimitReader(opened, maxScriptForm))
		_ = opened.Close()
		if err != nil {
			return err
		}
		data.Source = string(text)
	}
	answer, err := p.post(c, v, "/strategies", "console-"+uuid.NewString(), types.StrategyRequest{Name: data.Name, Source: data.Source})
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showStrategies(c, problem.Status, data, problem)
	}
	var made types.Strategy
	if err := answer.into(&made); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/strategies/"+made.StrategyID)
}

// scriptLine is a line of a script with what was found in it.
type scriptLine struct {
	Number   int
	Text     string
	Findings []types.Diagnostic
}

// linesOf are the lines of a script, each with its findings.
func linesOf(source string, found []types.Diagnostic) []scriptLine {
	var all []scriptLine
	for text := range strings.SplitSeq(strings.TrimSuffix(source, "\n"), "\n") {
		all = append(all, scriptLine{Number: len(all) + 1, Text: strings.TrimSuffix(text, "\r")})
	}
	for _, d := range found {
		at := min(max(d.Line, 1), len(all)) - 1
		all[at].Findings = append(all[at].Findings, d)
	}
	return all
}

// classText says what a class means for the speed of a tune.
func classText(class string) string {
	switch class {
	case "S":
		return "S: runs from signal to signal"
	case "B":
		return "B: runs from signal to signal, with stops and limits"
	case "P":
		return "P: a part of it runs on every bar"
	}
	return class
}

// strategyData is a script's page.
type strategyData struct {
	Script   *types.Strategy
	Class    string
	Lines    []scriptLine
	Datasets []types.Dataset
	Form     runForm
}

// runForm is what the form of a single run holds, as text.
type runForm struct {
	Dataset string
	Inputs  map[string]string
}

// Strategy handles GET /admin/strategies/:id.
func (p *Pages) Strategy(c echo.Context) error { return p.showStrategy(c, http.StatusOK, nil, nil) }

func (p *Pages) showStrategy(c echo.Context, status int, form *runForm, problem *Problem) error {
	v, err := p.page(c, "Strategies", "Strategy")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	at := "/strategies/" + url.PathEscape(c.Param("id"))
	var script types.Strategy
	if err := p.get(c, v, at, nil, &script); err != nil {
		return err
	}
	var source types.StrategySource
	if err := p.get(c, v, at+"/source", nil, &source); err != nil {
		return err
	}
	var sets types.List[types.Dataset]
	if err := p.get(c, v, "/datasets", url.Values{"limit": {"500"}}, &sets); err != nil {
		return err
	}
	if form == nil {
		form = &runForm{Inputs: map[string]string{}}
		for _, spec := range script.Params {
			form.Inputs[spec.Name] = valueText(spec, spec.Default)
		}
	}
	v.Title, v.Problem = script.Name, problem
	if script.Status == "checking" {
		v.Topics = "backtests"
	}
	v.Data = strategyData{Script: &script, Class: classText(script.Class), Lines: linesOf(source.Source, script.Notes), Datasets: sets.Items, Form: *form}
	return p.render(c, status, "strategy", v)
}

// RunStrategy handles POST /admin/strategies/:id/run: one run with the inputs of the form.
func (p *Pages) RunStrategy(c echo.Context) error {
	v, err := p.page(c, "Strategies", "Strategy")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	var script types.Strategy
	if err := p.get(c, v, "/strategies/"+url.PathEscape(c.Param("id")), nil, &script); err != nil {
		return err
	}
	form := runForm{Dataset: strings.TrimSpace(c.FormValue("dataset")), Inputs: map[string]string{}}
	values, faults := map[string]float64{}, []FieldFault(nil)
	for _, spec := range script.Params {
		text := strings.TrimSpace(c.FormValue("input." + spec.Name))
		form.Inputs[spec.Name] = text
		if text == "" {
			continue
		}
		v, ok := inputValue(spec, text)
		if !ok {
			faults = append(faults, FieldFault{Field: "params." + spec.Name, Message: strconv.Quote(text) + " is not one of its values: " + rangeText(spec)})
		}
		values[spec.Name] = v
	}
	if len(faults) > 0 {
		return p.showStrategy(c, http.StatusUnprocessableEntity, &form, &Problem{
			Title: "Not run", Status: http.StatusUnprocessableEntity, Detail: "Some inputs could not be read.", Errors: faults,
		})
	}
	answer, err := p.post(c, v, "/backtests/run", "console-"+uuid.NewString(), map[string]any{
		"dataset": form.Dataset, "strategy_name": script.Name, "params": values,
	})
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showStrategy(c, problem.Status, &form, problem)
	}
	var made types.Run
	if err := answer.into(&made); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/runs/"+made.RunID)
}

// inputValue is the number of a value as a form has it.
func inputValue(p types.ParamSpec, text string) (float64, bool) {
	if i := slices.Index(p.Labels, text); i >= 0 {
		return float64(i), true
	}
	if p.Labels != nil {
		return 0, false
	}
	if p.Kind == types.ParamKind(backtest.KindBool) {
		is, err := strconv.ParseBool(text)
		if is {
			return 1, err == nil
		}
		return 0, err == nil
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}
