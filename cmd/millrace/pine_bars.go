package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/pine"
)

// barFlags say which bars a script runs on, and what instrument they are of.
type barFlags struct {
	Dataset    string        `xor:"bars" required:"" placeholder:"NAME" help:"Run on the server, on this dataset."`
	Bars       string        `xor:"bars" required:"" type:"path" placeholder:"FILE" help:"Run here, without a server, on bars of this CSV or Parquet file."`
	Input      []string      `sep:"none" placeholder:"NAME=VALUE" help:"Value of an input, by its title or its variable, as in 'Fast Length=10'. Repeatable."`
	From       string        `placeholder:"TIME" help:"First bar that is used, as the chart's: a date or RFC 3339. With --bars."`
	To         string        `placeholder:"TIME" help:"Bars from this time on are not used. With --bars."`
	Tick       float64       `placeholder:"STEP" help:"Smallest step of a price; by default that of the file's decimals. With --bars."`
	Lot        float64       `default:"0.0001" help:"Smallest step of a quantity. With --bars."`
	PointValue float64       `default:"1" help:"Money of one point of one contract. With --bars."`
	Exchange   string        `default:"UTC" placeholder:"ZONE" help:"Time zone of the exchange, as in America/New_York. With --bars."`
	Calendar   int           `default:"252" enum:"252,365" help:"Trading days a year of the figures: 252 or 365. With --bars."`
	Intrabar   string        `placeholder:"FILE|NAME" help:"Bars of a lower timeframe that take the place of the assumed path inside a bar: a file with --bars, a dataset with --dataset."`
	Limit      time.Duration `default:"60s" help:"Longest time that a run here may take. With --bars."`
}

// local is a script ready to run here.
type local struct {
	strategy *pine.Strategy
	bars     *backtest.Bars
	market   pine.Market
	cfg      backtest.Config
	params   backtest.Params
	limit    time.Duration
}

// load reads the bars and makes the inputs' values.
func (f *barFlags) load(program *pine.Program) (*local, error) {
	data, err := os.ReadFile(f.Bars)
	if err != nil {
		return nil, configError{err}
	}
	bars, _, err := pricefile.ReadBytes(data, pricefile.Options{TimeRange: pricefile.RangeAny})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Bars, err)
	}
	if bars, err = f.between(bars); err != nil {
		return nil, err
	}
	if f.Intrabar != "" {
		if bars, err = f.detailed(bars); err != nil {
			return nil, err
		}
	}
	zone, err := time.LoadLocation(f.Exchange)
	if err != nil || f.Exchange == "Local" {
		return nil, configError{fmt.Errorf("--exchange: %q is not a time zone such as America/New_York", f.Exchange)}
	}
	for _, positive := range []struct {
		name  string
		value float64
	}{{"--lot", f.Lot}, {"--point-value", f.PointValue}} {
		if !(positive.value > 0) {
			return nil, configError{fmt.Errorf("%s: must be above 0", positive.name)}
		}
	}
	strategy := pine.NewStrategy("pine", program)
	values, err := inputValues(strategy.Params(), f.Input)
	if err != nil {
		return nil, err
	}
	params, faults := backtest.CheckParams(strategy, values)
	if len(faults) > 0 {
		return nil, configError{fmt.Errorf("--input %s: %s", strings.TrimPrefix(faults[0].Field, "params."), faults[0].Message)}
	}
	l := &local{
		strategy: strategy, bars: bars, params: params, limit: f.Limit,
		market: pine.Market{Tick: f.Tick, LotStep: f.Lot, PointValue: f.PointValue, Zone: zone},
		cfg: backtest.Config{
			Side: backtest.SideBoth, Account: strategy.Account(), Policy: backtest.PolicyWorst, Calendar: backtest.Calendar(f.Calendar),
		},
	}
	if !(l.market.Tick > 0) {
		l.market.Tick = backtest.GuessTick(bars)
	}
	return l, nil
}

// detailed puts the bars of a lower timeframe inside.
func (f *barFlags) detailed(bars *backtest.Bars) (*backtest.Bars, error) {
	data, err := os.ReadFile(f.Intrabar)
	if err != nil {
		return nil, configError{err}
	}
	fine, _, err := pricefile.ReadBytes(data, pricefile.Options{TimeRange: pricefile.RangeAny})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Intrabar, err)
	}
	detailed, err := bars.WithDetail(fine)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Intrabar, err)
	}
	return detailed, nil
}

// between cuts the bars to the times given.
func (f *barFlags) between(b *backtest.Bars) (*backtest.Bars, error) {
	low, high := 0, b.Len()
	for _, cut := range []struct {
		flag, text string
		at         *int
	}{{"--from", f.From, &low}, {"--to", f.To, &high}} {
		if cut.text == "" {
			continue
		}
		at, err := time.Parse(time.DateOnly, cut.text)
		if err != nil {
			if at, err = time.Parse(time.RFC3339, cut.text); err != nil {
				return nil, configError{fmt.Errorf("%s: %q is neither a date nor an RFC 3339 time", cut.flag, cut.text)}
			}
		}
		*cut.at, _ = slices.BinarySearch(b.Time, at.UnixMicro())
	}
	if high-low < 2 {
		return nil, configError{fmt.Errorf("%d bars are between --from and --to of the %d in %s", max(high-low, 0), b.Len(), f.Bars)}
	}
	return b.Slice(low, high), nil
}

// inputValues reads NAME=VALUE texts into values by the names of the parameters.
func inputValues(specs []backtest.ParamSpec, texts []string) (map[string]float64, error) {
	values := map[string]float64{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, configError{fmt.Errorf("--input %q: want NAME=VALUE", text)}
		}
		i := slices.IndexFunc(specs, func(p backtest.ParamSpec) bool { return p.Name == name })
		if i < 0 {
			i = slices.IndexFunc(specs, func(p backtest.ParamSpec) bool { return p.Doc == name })
		}
		if i < 0 {
			return nil, configError{fmt.Errorf("--input %s: the script has no such input; it has: %s", name, inputNames(specs))}
		}
		v, err := inputValue(specs[i], value)
		if err != nil {
			return nil, configError{fmt.Errorf("--input %s: %w", name, err)}
		}
		values[specs[i].Name] = v
	}
	return values, nil
}

func inputValue(p backtest.ParamSpec, text string) (float64, error) {
	if v, ok := p.Value(text); ok {
		return v, nil
	}
	if v, err := strconv.ParseBool(text); err == nil && p.Kind == backtest.KindBool {
		if v {
			return 1, nil
		}
		return 0, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && p.Labels != nil:
		return 0, fmt.Errorf("%q is none of: %s", text, strings.Join(p.Labels, ", "))
	case err != nil && p.Kind == backtest.KindBool:
		return 0, fmt.Errorf("%q is neither true nor false", text)
	case err != nil:
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

func inputNames(specs []backtest.ParamSpec) string {
	var names []string
	for _, p := range specs {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// run runs the script over the bars.
func (l *local) run(stop func() bool) (backtest.Metrics, []backtest.Trade, error) {
	var m backtest.Metrics
	late := time.Now().Add(l.limit)
	trader := l.strategy.TraderOf(backtest.NewIndicatorCache(l.bars), l.cfg, l.market)
	trader.OnStop(func() bool { return stop() || time.Now().After(late) })
	window := backtest.Window{To: l.bars.Len()}
	trader.Prepare(l.params)
	trader.Simulate(window, &m)
	trades, _ := trader.Trace(window)
	if err := trader.Err(); err != nil {
		return m, nil, err
	}
	return m, trades, nil
}

// paramsOf are the parameters of a strategy of the server as the engine has them.
func paramsOf(specs []types.ParamSpec) []backtest.ParamSpec {
	params := make([]backtest.ParamSpec, len(specs))
	for i, p := range specs {
		params[i] = backtest.ParamSpec{
			Name: p.Name, Kind: backtest.ParamKind(p.Kind), Default: p.Default, Min: p.Min, Max: p.Max, Step: p.Step, Doc: p.Doc, Labels: p.Labels,
		}
	}
	return params
}
