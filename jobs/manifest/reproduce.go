package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// Report says whether a result came out the same when it was made again.
type Report struct {
	Manifest *Manifest
	Same     bool
	Differs  []string // names of parts with other bytes, sorted
	First    string   // the first trial or figure that moved; "" when nothing did
	Causes   []string // what differs of that which the result was made of: data, engine, spec
}

// run is the spec of a single run as it is stored.
type run struct {
	Dataset  string                  `json:"dataset"`
	Strategy string                  `json:"strategy_name"`
	Params   map[string]float64      `json:"params"`
	Side     backtest.Side           `json:"side"`
	Account  json.RawMessage         `json:"account"`
	Stops    *backtest.Stops         `json:"stops"`
	Policy   backtest.IntrabarPolicy `json:"intrabar_policy"`
	Seed     uint64                  `json:"seed"`
	Script   *sweep.Script           `json:"script"`
	Override *backtest.Override      `json:"override"`
}

// Reproduce makes the bundle's result again in this process, whose numbers are program's, and compares the
// bytes. bind binds a spec that pins a script to it.
func (b *Bundle) Reproduce(ctx context.Context, program backtest.Stamp, bind func(*sweep.Spec) error, atOnce int) (*Report, error) {
	report := &Report{Manifest: b.Manifest}
	if b.lacksDetail() {
		return nil, errors.New("the result follows bars of a lower timeframe inside its bars (intrabar_dataset), and its manifest is of before manifests named them: submit it again to have one that can be reproduced")
	}
	series, err := b.series()
	if err != nil {
		return nil, err
	}
	differs, err := b.otherBars(series)
	if err != nil {
		return nil, err
	}
	if err := b.detail(series); err != nil {
		if len(differs) > 0 {
			err = fmt.Errorf("%w; data: %s", err, strings.Join(differs, "; "))
		}
		return nil, err
	}
	parts, own, err := b.again(ctx, program, series, bind, atOnce)
	if err != nil {
		return nil, err
	}
	if own != b.Manifest.Stamp {
		report.Causes = append(report.Causes, fmt.Sprintf("engine: it was made by %s, this program is %s", name(b.Manifest.Stamp), name(own)))
	}
	for _, what := range differs {
		report.Causes = append(report.Causes, "data: "+what)
	}
	if spec, err := Canonical(b.Spec); err != nil || !equalJSON(spec, b.Manifest.Spec) {
		report.Causes = append(report.Causes, "spec: what is stored of the request is not what the manifest says")
	}
	sums := parts.Sums()
	for _, part := range slices.Sorted(maps.Keys(b.Manifest.Result.Parts)) {
		if sums[part] != b.Manifest.Result.Parts[part] {
			report.Differs = append(report.Differs, part)
		}
	}
	report.Same = len(report.Differs) == 0 && len(sums) == len(b.Manifest.Result.Parts)
	if !report.Same {
		report.First = b.firstDifference(parts)
	}
	return report, nil
}

// lacksDetail reports whether the result follows bars that its manifest does not name.
func (b *Bundle) lacksDetail() bool {
	var spec struct {
		Intrabar string `json:"intrabar_dataset"`
	}
	return b.Manifest.Intrabar == nil && json.Unmarshal(b.Manifest.Spec, &spec) == nil && spec.Intrabar != ""
}

func equalJSON(a, b []byte) bool {
	ca, errA := Canonical(a)
	cb, errB := Canonical(b)
	return errA == nil && errB == nil && bytes.Equal(ca, cb)
}

func name(s backtest.Stamp) string {
	switch {
	case !s.Known():
		return "an engine that is not known"
	case s.Semantics != "":
		return fmt.Sprintf("engine %s with semantics %s", s.Engine, s.Semantics)
	}
	return "engine " + s.Engine
}

// again computes the result.
func (b *Bundle) again(ctx context.Context, program backtest.Stamp, series []sweep.Series, bind func(*sweep.Spec) error, atOnce int) (Parts, backtest.Stamp, error) {
	if b.Manifest.Kind == Run {
		return b.runAgain(ctx, program, series[0], bind)
	}
	var spec sweep.Spec
	if err := json.Unmarshal(b.Manifest.Spec, &spec); err != nil {
		return nil, program, fmt.Errorf("the manifest's spec cannot be read: %w", err)
	}
	if err := bind(&spec); err != nil {
		return nil, program, err
	}
	own := spec.Stamp(program)
	if b.Manifest.Kind == WalkForward {
		var config sweep.WFOConfig
		if err := json.Unmarshal(b.Manifest.Config, &config); err != nil {
			return nil, own, fmt.Errorf("the manifest's wfo_config cannot be read: %w", err)
		}
		found, warnings, err := sweep.RunWholeWFO(ctx, spec, config, series, atOnce)
		if err != nil {
			return nil, own, err
		}
		parts, err := OfWalkForward(found, warnings)
		return parts, own, err
	}
	plan, faults := sweep.NewPlanOver(spec, series)
	if len(faults) > 0 {
		return nil, own, fmt.Errorf("the spec does not fit its data: %w", faults[0])
	}
	found, table, err := plan.RunWhole(ctx, atOnce)
	if err != nil {
		return nil, own, err
	}
	parts, err := OfTune(found, b.Manifest.Leaders)
	if err == nil {
		parts[trialsPart] = table.Bytes()
	}
	return parts, own, err
}

func (b *Bundle) runAgain(ctx context.Context, program backtest.Stamp, series sweep.Series, bind func(*sweep.Spec) error) (Parts, backtest.Stamp, error) {
	var r run
	if err := json.Unmarshal(b.Manifest.Spec, &r); err != nil {
		return nil, program, fmt.Errorf("the manifest's spec cannot be read: %w", err)
	}
	spec := sweep.Spec{StrategyName: r.Strategy, Script: r.Script}
	if err := bind(&spec); err != nil {
		return nil, program, err
	}
	strategy := spec.Strategy()
	if strategy == nil {
		return nil, program, fmt.Errorf("this program has no strategy %q", r.Strategy)
	}
	cfg := backtest.Config{Side: r.Side, Account: backtest.DefaultAccount(), Stops: r.Stops, Policy: r.Policy, Seed: r.Seed, Calendar: series.Calendar}
	if err := json.Unmarshal(r.Account, &cfg.Account); err != nil {
		return nil, program, fmt.Errorf("the manifest's account cannot be read: %w", err)
	}
	if r.Override != nil {
		cfg.Override = *r.Override
	}
	params, faults := backtest.CheckParams(strategy, r.Params)
	if faults = append(faults, cfg.Validate()...); len(faults) > 0 {
		return nil, program, fmt.Errorf("the manifest's spec is not valid: %w", faults[0])
	}
	trader := backtest.NewTrader(series.Bars, strategy, cfg)
	trader.OnStop(func() bool { return ctx.Err() != nil })
	whole := backtest.Window{To: series.Bars.Len()}
	var metrics backtest.Metrics
	trader.Prepare(params)
	trader.Simulate(whole, &metrics)
	trades, equity := trader.Trace(whole)
	if err := errors.Join(trader.Err(), ctx.Err()); err != nil {
		return nil, program, fmt.Errorf("run again: %w", err)
	}
	parts, err := OfRun(metrics, trades, equity)
	return parts, spec.Stamp(program), err
}

// firstDifference names the first trial, or else the first figure, that moved.
func (b *Bundle) firstDifference(parts Parts) string {
	strategy := b.strategyName()
	if was, is := b.Parts[trialsPart], parts[trialsPart]; was != nil && !bytes.Equal(was, is) {
		if d, err := b.differingTrial(was, is); err == nil && d != nil {
			if d.Trial < 0 {
				return fmt.Sprintf("%s: there were %v trials, now there are %v", strategy, d.Was, d.Is)
			}
			return fmt.Sprintf("%s: trial %d: %s was %v and is %v", strategy, d.Trial, d.Figure, d.Was, d.Is)
		}
	}
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		if was := b.Parts[part]; was != nil && part != trialsPart && !bytes.Equal(was, parts[part]) {
			return fmt.Sprintf("%s: %s", strategy, differingFigure(part, was, parts[part]))
		}
	}
	return ""
}

func (b *Bundle) strategyName() string {
	var named struct {
		Name string `json:"strategy_name"`
	}
	_ = json.Unmarshal(b.Manifest.Spec, &named) // it was read before
	return named.Name
}

func (b *Bundle) differingTrial(was, is []byte) (*sweep.Difference, error) {
	var spec sweep.Spec
	if err := json.Unmarshal(b.Manifest.Spec, &spec); err != nil {
		return nil, err
	}
	names := spec.ParamNames()
	stored, err := sweep.ReadTable(names, was)
	if err != nil {
		return nil, err
	}
	made, err := sweep.ReadTable(names, is)
	if err != nil {
		return nil, err
	}
	return stored.FirstDifference(made), nil
}

// differingFigure is the place of the first value that two JSON documents have otherwise.
func differingFigure(at string, was, is []byte) string {
	var a, b any
	read := func(body []byte, into *any) error {
		in := json.NewDecoder(bytes.NewReader(body))
		in.UseNumber()
		return in.Decode(into)
	}
	if err := errors.Join(read(was, &a), read(is, &b)); err != nil {
		return at + " has other bytes"
	}
	if place := walk(at, a, b); place != "" {
		return place
	}
	return at + " is written differently"
}

func walk(at string, a, b any) string {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		keys := maps.Clone(x)
		maps.Copy(keys, y)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if place := walk(at+"."+key, x[key], y[key]); place != "" {
				return place
			}
		}
		return ""
	case []any:
		y, ok := b.([]any)
		if !ok {
			break
		}
		for i := range min(len(x), len(y)) {
			if place := walk(fmt.Sprintf("%s[%d]", at, i), x[i], y[i]); place != "" {
				return place
			}
		}
		if len(x) != len(y) {
			return fmt.Sprintf("%s had %d entries and has %d", at, len(x), len(y))
		}
		return ""
	}
	if a == b {
		return ""
	}
	return fmt.Sprintf("%s was %v and is %v", at, a, b)
}
