package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// backtestForm is what the form of a single backtest holds, as text.
type backtestForm struct {
	Key, Strategy, Dataset, Side, Policy, Commission string
	Inputs                                           map[string]string
	Base                                             string // the request that it began with, as JSON: what the form does not show stays
}

// backtestFormData is the form and what it offers.
type backtestFormData struct {
	Form            backtestForm
	Datasets        []types.Dataset
	Strategies      []types.Strategy
	Strategy        *types.Strategy
	Sides, Policies []string
	faults          map[string]string
}

// FaultOf is what the API said against a field.
func (d backtestFormData) FaultOf(field string) string { return d.faults[field] }

// NewRun handles GET /admin/runs/new: an empty form, or that of a trial or a run.
func (p *Pages) NewRun(c echo.Context) error {
	v, err := p.page(c, "Backtests", "New backtest")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "run_new", err)
	}
	body, err := p.bodyToChange(c, v)
	if err != nil {
		return err
	}
	form := formOfBody(body)
	if name := c.QueryParam("strategy"); name != "" {
		form.Strategy, form.Inputs = name, nil
	}
	if name := c.QueryParam("dataset"); name != "" {
		form.Dataset = name
	}
	return p.showRunForm(c, v, http.StatusOK, form, nil)
}

// bodyToChange is the request of the trial or of the run that the address names.
func (p *Pages) bodyToChange(c echo.Context, v *view) (map[string]any, error) {
	ctx := c.Request().Context()
	if id, err := uuid.Parse(c.QueryParam("run")); err == nil {
		run, err := p.opts.Reads.Run(ctx, v.Workspace.ID, id)
		if err != nil {
			return nil, err
		}
		return requestOfRun(run)
	}
	id, err := uuid.Parse(c.QueryParam("tune"))
	if err != nil {
		return nil, nil
	}
	stored, err := p.opts.Reads.StoredTune(ctx, v.Workspace.ID, id)
	if err != nil {
		return nil, err
	}
	index, err := strconv.Atoi(c.QueryParam("trial"))
	if err != nil {
		return nil, notFound()
	}
	trial, err := p.opts.Reads.Trial(ctx, stored, index)
	if err != nil {
		return nil, err
	}
	dataset := stored.Dataset
	if len(stored.Spec.Datasets) > 0 {
		dataset = stored.Spec.Datasets[0]
	}
	return runBody(stored, dataset, trial.Params)
}

// requestOfRun is the request that a run was made by, without what the server added.
func requestOfRun(run *StoredRun) (map[string]any, error) {
	var body map[string]any
	if err := json.Unmarshal(run.Spec, &body); err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	delete(body, "notes")
	delete(body, "script")
	for name, value := range body {
		if value == nil {
			delete(body, name)
		}
	}
	return body, nil
}

// formOfBody fills the form with a request's members.
func formOfBody(body map[string]any) backtestForm {
	form := backtestForm{Strategy: "sma_cross", Side: "both", Policy: "worst", Commission: "0.002"}
	if body == nil {
		return form
	}
	text := func(name string, into *string) {
		if value, ok := body[name]; ok {
			*into = fmt.Sprint(value)
		}
	}
	text("strategy_name", &form.Strategy)
	text("dataset", &form.Dataset)
	text("side", &form.Side)
	text("intrabar_policy", &form.Policy)
	account, _ := body["account"].(map[string]any)
	form.Commission = ""
	if fraction, ok := account["commission"]; ok {
		form.Commission = fmt.Sprint(fraction)
	}
	form.Inputs = map[string]string{}
	switch params := body["params"].(type) {
	case map[string]float64:
		for name, value := range params {
			form.Inputs[name] = plain(value)
		}
	case map[string]any:
		for name, value := range params {
			if number, ok := value.(float64); ok {
				form.Inputs[name] = plain(number)
			}
		}
	}
	if raw, err := json.Marshal(body); err == nil {
		form.Base = string(raw)
	}
	return form
}

func (p *Pages) showRunForm(c echo.Context, v *view, status int, form backtestForm, problem *Problem) error {
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
		strategy, form.Inputs = find(all, "sma_cross"), nil
	}
	form.Strategy = strategy.Name
	inputs := map[string]string{}
	for _, spec := range strategy.Params {
		given, ok := form.Inputs[spec.Name]
		value, err := strconv.ParseFloat(given, 64)
		switch {
		case !ok:
			inputs[spec.Name] = valueText(spec, spec.Default)
		case err == nil:
			inputs[spec.Name] = valueText(spec, value)
		default:
			inputs[spec.Name] = given
		}
	}
	form.Inputs = inputs
	if form.Key == "" {
		form.Key = "console-" + uuid.NewString()
	}
	data := backtestFormData{
		Form: form, Datasets: sets.Items, Strategies: all, Strategy: strategy, Sides: []string{"both", "long", "short"},
		Policies: []string{"worst", "best", "ohlc_path", "random"}, faults: map[string]string{},
	}
	if problem != nil {
		for _, fault := range problem.Errors {
			data.faults[fault.Field] = fault.Message
		}
	}
	v.Problem, v.Data = problem, data
	return p.render(c, status, "run_new", v)
}

// SubmitRun handles POST /admin/runs.
func (p *Pages) SubmitRun(c echo.Context) error {
	v, err := p.page(c, "Backtests", "New backtest")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "run_new", err)
	}
	text := func(name string) string { return strings.TrimSpace(c.FormValue(name)) }
	form := backtestForm{
		Key: text("key"), Strategy: text("strategy_name"), Dataset: text("dataset"), Side: text("side"), Policy: text("intrabar_policy"),
		Commission: text("commission"), Base: text("base"), Inputs: map[string]string{},
	}
	all, err := p.strategies(c, v)
	if err != nil {
		return err
	}
	body, faults := form.body(c, find(all, form.Strategy))
	if len(faults) > 0 {
		return p.showRunForm(c, v, http.StatusUnprocessableEntity, form, &Problem{
			Title: "Not run", Status: http.StatusUnprocessableEntity, Detail: "Some fields could not be read.", Errors: faults,
		})
	}
	answer, err := p.post(c, v, "/backtests/run", form.Key, body)
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		form.Key = "" // the body will differ
		return p.showRunForm(c, v, problem.Status, form, problem)
	}
	var made types.Run
	if err := answer.into(&made); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/runs/"+made.RunID)
}

// body makes the form the API's request, over the one that it began with.
func (f backtestForm) body(c echo.Context, strategy *types.Strategy) (map[string]any, []FieldFault) {
	body := map[string]any{}
	if f.Base != "" {
		if err := json.Unmarshal([]byte(f.Base), &body); err != nil || body == nil {
			body = map[string]any{}
		}
	}
	if was, _ := body["strategy_name"].(string); was != f.Strategy {
		body = map[string]any{} // stops and account were another strategy's
	}
	body["dataset"], body["strategy_name"], body["side"], body["intrabar_policy"] = f.Dataset, f.Strategy, f.Side, f.Policy
	var faults []FieldFault
	params := map[string]float64{}
	if strategy != nil {
		for _, spec := range strategy.Params {
			text := strings.TrimSpace(c.FormValue("input." + spec.Name))
			f.Inputs[spec.Name] = text
			if text == "" {
				continue
			}
			value, ok := inputValue(spec, text)
			if !ok {
				faults = append(faults, FieldFault{Field: "params." + spec.Name, Message: strconv.Quote(text) + " is not one of its values: " + rangeText(spec)})
			}
			params[spec.Name] = value
		}
	}
	body["params"] = params
	account, _ := body["account"].(map[string]any)
	if account == nil {
		account = map[string]any{}
	}
	delete(account, "commission")
	if f.Commission != "" {
		value, err := strconv.ParseFloat(f.Commission, 64)
		if err != nil {
			faults = append(faults, FieldFault{Field: "account.commission", Message: fmt.Sprintf("%q is not a number", f.Commission)})
		}
		account["commission"] = value
	}
	if body["account"] = account; len(account) == 0 {
		delete(body, "account")
	}
	slices.SortFunc(faults, func(a, b FieldFault) int { return strings.Compare(a.Field, b.Field) })
	return body, faults
}
