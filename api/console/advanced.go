package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// advancedField is a setting of the form that most tunes leave as it is. Its path is the API's.
type advancedField struct {
	Path, Label, Hint string
	Values            []string // to choose from; nil: a number
	Value, Fault      string
}

// Of the settings that are yes or no.
const (
	settingYes = "yes"
	settingNo  = "no"
)

// advancedFields are the settings of the Advanced part: the account, protective exits, and what is seldom changed of the search.
func advancedFields(wfo bool) []advancedField {
	yesNo := []string{"", settingYes, settingNo}
	policies := []string{"", string(backtest.PolicyWorst), string(backtest.PolicyBest), string(backtest.PolicyOHLCPath), string(backtest.PolicyRandom)}
	fields := []advancedField{
		{Path: "account.cash", Label: "Cash", Hint: "starting equity; empty: 10,000"},
		{Path: "account.slippage", Label: "Slippage", Hint: "fraction of the price, on market fills"},
		{Path: "account.size", Label: "Size", Hint: "up to 1 of the equity, above 1 units"},
		{Path: "account.whole_units", Label: "Whole units", Hint: "sizes are rounded down", Values: yesNo},
		{Path: "account.exclusive", Label: "Exclusive", Hint: "an opposite entry closes first", Values: yesNo},
		{Path: "stops.stop_pct", Label: "Stop", Hint: "% of the entry price"},
		{Path: "stops.target_pct", Label: "Target", Hint: "% of the entry price"},
		{Path: "stops.trail_pct", Label: "Trailing stop", Hint: "% of the best price"},
		{Path: "stops.stop_atr", Label: "Stop, ATR", Hint: "average true ranges"},
		{Path: "stops.target_atr", Label: "Target, ATR", Hint: "average true ranges"},
		{Path: "stops.trail_atr", Label: "Trailing stop, ATR", Hint: "average true ranges"},
		{Path: "stops.atr_period", Label: "ATR period", Hint: "bars; empty: 14"},
		{Path: "intrabar_policy", Label: "Stop and target in one bar", Hint: "which fills", Values: policies},
		{Path: "objective_params.lambda", Label: "Drawdown penalty", Hint: "of penalised objectives; empty: 0.02"},
		{Path: "pruning", Label: "Pruning", Hint: "end poor trials on few bars", Values: []string{settingNo, settingYes}},
	}
	if !wfo {
		fields = append(fields, advancedField{Path: "select_on", Label: "Select on", Hint: "the part that ranks trials", Values: []string{sweep.SelectInSample, sweep.SelectOutOfSample}})
	}
	return fields
}

// AdvancedFields are the fields with what the form holds and what the API said of them.
func (d tuneFormData) AdvancedFields() []advancedField {
	fields := advancedFields(d.Form.WFO)
	for i := range fields {
		fields[i].Value, fields[i].Fault = d.Form.Advanced[fields[i].Path], d.FaultOf(fields[i].Path)
	}
	return fields
}

// AdvancedOpen reports whether the part is open from the start: something in it is set, or refused.
func (d tuneFormData) AdvancedOpen() bool {
	usual := map[string]string{"pruning": settingNo, "select_on": sweep.SelectInSample, "intrabar_policy": string(backtest.PolicyWorst)}
	return slices.ContainsFunc(d.AdvancedFields(), func(f advancedField) bool {
		return f.Fault != "" || d.Form.Base == "" && f.Value != "" && f.Value != usual[f.Path]
	})
}

// keep has the form carry all of a search: what it has fields for, and as its base what it has none for.
func (f *tuneForm) keep(s *sweep.Spec) error {
	members, err := membersOf(s)
	if err != nil {
		return err
	}
	for _, own := range []string{"script", "dataset", "datasets"} {
		delete(members, own)
	}
	if f.Advanced = map[string]string{}; members["pruning"] != nil {
		f.Advanced["pruning"] = settingYes
	}
	for _, field := range advancedFields(false) {
		switch v := memberAt(members, field.Path).(type) {
		case float64:
			if v != 0 || field.Path == "objective_params.lambda" {
				f.Advanced[field.Path] = plain(v)
			}
		case bool:
			f.Advanced[field.Path] = map[bool]string{true: settingYes, false: settingNo}[v]
		case string:
			f.Advanced[field.Path] = v
		}
	}
	return f.base(members)
}

func (f *tuneForm) base(members map[string]any) error {
	raw, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("keep the request in its form: %w", err)
	}
	f.Base = string(raw)
	return nil
}

// begin is the request that the form began with, without what only another strategy or kind of search has.
func (f tuneForm) begin() map[string]any {
	body := map[string]any{}
	if f.Base == "" || json.Unmarshal([]byte(f.Base), &body) != nil || body["strategy_name"] != f.Strategy {
		return map[string]any{}
	}
	if f.Search != string(sweep.SearchTPE) {
		delete(body, "tpe")
	}
	if f.WFO {
		for _, single := range []string{"window", "oos_ratio", "evidence", "select_on", "aggregate"} {
			delete(body, single)
		}
	} else {
		delete(body, "wfo_config")
	}
	return body
}

// advance puts what the Advanced part holds into the request.
func (f tuneForm) advance(body map[string]any, number func(into map[string]any, name, field, text string)) {
	for _, field := range advancedFields(f.WFO) {
		into, name := parentOf(body, field.Path)
		text := f.Advanced[field.Path]
		switch {
		case field.Path == "pruning":
			if text != settingYes {
				delete(into, name)
			} else if into[name] == nil {
				into[name] = map[string]any{"type": sweep.PruneHalving}
			}
		case field.Values == nil:
			number(into, name, field.Path, text)
		case text == "":
			delete(into, name)
		case text == settingYes || text == settingNo:
			into[name] = text == settingYes
		default:
			into[name] = text
		}
	}
	for _, part := range []string{"stops", "objective_params"} {
		if members, ok := body[part].(map[string]any); ok && len(members) == 0 {
			delete(body, part)
		}
	}
}

// parentOf is the object that the last word of a path is a member of; it is made where it is missing.
func parentOf(body map[string]any, path string) (into map[string]any, name string) {
	into = body
	for i := range path {
		if path[i] != '.' {
			continue
		}
		next, ok := into[path[:i]].(map[string]any)
		if !ok {
			next = map[string]any{}
			into[path[:i]] = next
		}
		return next, path[i+1:]
	}
	return into, path
}

func memberAt(members map[string]any, path string) any {
	into, name := parentOf(maps.Clone(members), path)
	return into[name]
}

// wholeNumber is a number that may have more digits than a float, such as a seed.
func wholeNumber(text string) (json.Number, bool) {
	_, err := strconv.ParseUint(text, 10, 64)
	return json.Number(text), err == nil
}
