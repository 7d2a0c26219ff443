package sweep

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"weak"

	"millrace/jobs/backtest"
)

// MaxDatasets and MaxTuneBars bound a tune over several datasets.
const (
	MaxDatasets = 50
	MaxTuneBars = 10_000_000
)

// Aggregate is how the figures of several datasets become those of a trial.
type Aggregate string

// The aggregates. The worst of a drawdown, of its length and of a kurtosis is the highest, of any
// other figure the lowest.
const (
	AggregateMean   Aggregate = "mean"
	AggregateMedian Aggregate = "median"
	AggregateWorst  Aggregate = "worst"
)

// Aggregates lists the aggregates.
func Aggregates() []Aggregate { return []Aggregate{AggregateMean, AggregateMedian, AggregateWorst} }

// Series is a dataset of a tune.
type Series struct {
	Name     string
	Bars     *backtest.Bars
	Calendar backtest.Calendar
}

func (s Spec) checkDatasets(f *faults) {
	oneOf(f, "aggregate", s.Aggregate, Aggregates()...)
	n := len(s.Datasets)
	if n > 0 && s.IntrabarDataset != "" {
		f.add("intrabar_dataset", nil, "goes with one dataset, not with several")
	}
	if n == 1 || n > MaxDatasets {
		f.add("datasets", []int{2, MaxDatasets}, "has %d entries; name 2 to %d, or one as dataset", n, MaxDatasets)
	}
	for i, name := range s.Datasets {
		if slices.Index(s.Datasets, name) < i {
			f.add(fmt.Sprintf("datasets[%d]", i), nil, "%q is named twice", name)
		}
	}
}

// series is one dataset of a plan: which of its bars trials see and trade.
type series struct {
	name     string
	strategy backtest.Strategy
	history  *backtest.Bars // the whole dataset
	bars     *backtest.Bars // what trials see of it, from the offset-th bar on
	offset   int
	config   backtest.Config
	is, oos  backtest.Window // of bars; oos is empty without a split
	runners  sync.Pool       // of backtest.Trader

	mu    sync.Mutex // of cache
	cache weak.Pointer[backtest.IndicatorCache]
}

// runner takes a warmed-up runner, or makes one.
func (s *series) runner() backtest.Trader {
	if r, ok := s.runners.Get().(backtest.Trader); ok {
		return r
	}
	return s.newRunner()
}

// newRunner makes a runner that shares the indicator arrays of those that there are. The plan itself
// does not hold the arrays: those of an idle tune are freed with its runners.
func (s *series) newRunner() backtest.Trader { return s.traderWith(s.config) }

// traderWith makes a runner with another configuration.
func (s *series) traderWith(cfg backtest.Config) backtest.Trader {
	s.mu.Lock()
	defer s.mu.Unlock()
	cache := s.cache.Value()
	if cache == nil {
		cache = backtest.NewIndicatorCache(s.bars)
		s.cache = weak.Make(cache)
	}
	return s.strategy.Trader(cache, cfg)
}

// selecting is the part that trials are ranked by.
func (s *series) selecting(spec *Spec) backtest.Window {
	if spec.selectsOOS() {
		return s.oos
	}
	return s.is
}

// traded is the number of bars that a trial trades.
func (s *series) traded() int { return s.is.Len() + s.oos.Len() }

// bind makes the plan's series and sets which of their bars trials see.
func (p *Plan) bind(data []Series, f *faults) {
	strategy := p.spec.Strategy()
	total := 0
	for i, d := range data {
		s := &p.series
		if i > 0 {
			s = &series{}
		}
		p.sets = append(p.sets, s)
		s.name, s.history, s.strategy, s.config = d.Name, d.Bars, strategy, p.spec.config(d.Calendar)
		total += d.Bars.Len()
	}
	if len(data) == 1 {
		p.place(&p.series, f)
		return
	}
	if total > MaxTuneBars {
		f.add("datasets", MaxTuneBars, "have %d bars together, more than %d", total, MaxTuneBars)
	}
	for i, s := range p.sets {
		field := fmt.Sprintf("datasets[%d]", i)
		if !s.history.SameInterval(p.history) {
			f.add(field, nil, "%s has bars of another length than %s; periods are counted in bars", s.name, p.name)
		}
		var own faults
		p.place(s, &own)
		for _, fault := range own {
			f.add(field, fault.Limit, "%s: %s %s", s.name, fault.Field, fault.Message)
		}
	}
}

// aggregate makes one figure of those of the datasets. A figure that is undefined on one of them is
// undefined.
func (s Spec) aggregate(values []float64, lowerIsBetter bool) float64 {
	if len(values) == 1 {
		return values[0]
	}
	for _, v := range values {
		if math.IsNaN(v) {
			return v
		}
	}
	switch s.Aggregate {
	case AggregateMedian:
		sorted := slices.Sorted(slices.Values(values))
		middle := len(sorted) / 2
		if len(sorted)%2 == 1 {
			return sorted[middle]
		}
		return (sorted[middle-1] + sorted[middle]) / 2
	case AggregateWorst:
		if lowerIsBetter {
			return slices.Max(values)
		}
		return slices.Min(values)
	}
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// aggregateMetrics makes one trial's metrics of those on each dataset, figure by figure; counts are
// rounded down. What the evidence needs beside the Sharpe ratio is that of one series with the lowest
// skew, the highest kurtosis and the fewest periods of all: datasets move together, so that more of
// them are not taken for more evidence.
func (s Spec) aggregateMetrics(parts []backtest.Metrics, scratch []float64) backtest.Metrics {
	if len(parts) == 1 {
		return parts[0]
	}
	gather := func(of func(*backtest.Metrics) float64) []float64 {
		scratch = scratch[:0]
		for i := range parts {
			scratch = append(scratch, of(&parts[i]))
		}
		return scratch
	}
	higher := func(of func(*backtest.Metrics) float64) float64 { return s.aggregate(gather(of), false) }
	lower := func(of func(*backtest.Metrics) float64) float64 { return s.aggregate(gather(of), true) }
	m := backtest.Metrics{
		Trades:             int(higher(func(m *backtest.Metrics) float64 { return float64(m.Trades) })),
		FinalEquity:        higher(func(m *backtest.Metrics) float64 { return m.FinalEquity }),
		ReturnPct:          higher(func(m *backtest.Metrics) float64 { return m.ReturnPct }),
		CAGRPct:            higher(func(m *backtest.Metrics) float64 { return m.CAGRPct }),
		MaxDrawdownPct:     lower(func(m *backtest.Metrics) float64 { return m.MaxDrawdownPct }),
		MaxDrawdownBars:    int(lower(func(m *backtest.Metrics) float64 { return float64(m.MaxDrawdownBars) })),
		Sharpe:             higher(func(m *backtest.Metrics) float64 { return m.Sharpe }),
		Sortino:            higher(func(m *backtest.Metrics) float64 { return m.Sortino }),
		Calmar:             higher(func(m *backtest.Metrics) float64 { return m.Calmar }),
		WinRatePct:         higher(func(m *backtest.Metrics) float64 { return m.WinRatePct }),
		ProfitFactor:       higher(func(m *backtest.Metrics) float64 { return m.ProfitFactor }),
		ExpectancyPct:      higher(func(m *backtest.Metrics) float64 { return m.ExpectancyPct }),
		SQN:                higher(func(m *backtest.Metrics) float64 { return m.SQN }),
		ExposurePct:        higher(func(m *backtest.Metrics) float64 { return m.ExposurePct }),
		BuyHoldPct:         higher(func(m *backtest.Metrics) float64 { return m.BuyHoldPct }),
		SR:                 higher(func(m *backtest.Metrics) float64 { return m.SR }),
		ReturnOverDrawdown: higher(func(m *backtest.Metrics) float64 { return m.ReturnOverDrawdown }),
		Periods:            parts[0].Periods, Skew: parts[0].Skew, Kurt: parts[0].Kurt,
	}
	for i := range parts {
		part := &parts[i]
		m.Bars += part.Bars
		m.UnpaidOrders += part.UnpaidOrders
		m.Periods, m.Skew, m.Kurt = min(m.Periods, part.Periods), min(m.Skew, part.Skew), max(m.Kurt, part.Kurt)
	}
	return m
}
