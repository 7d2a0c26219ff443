package console

import "millrace/api/types"

// figures are all figures of a backtest, in sample and out of sample.
func figures(is, oos *types.Metrics) []metricLine {
	lines := []struct {
		name, id string
		of       func(*types.Metrics) string
	}{
		{"Return", "return_pct", func(m *types.Metrics) string { return percent(m.ReturnPct) }},
		{"Buy and hold", "buy_hold_pct", func(m *types.Metrics) string { return percent(m.BuyHoldPct) }},
		{"CAGR", "cagr_pct", func(m *types.Metrics) string { return percent(m.CAGRPct) }},
		{"Final equity", "final_equity", func(m *types.Metrics) string { return number(m.FinalEquity) }},
		{"Max drawdown", "max_drawdown_pct", func(m *types.Metrics) string { return percent(m.MaxDrawdownPct) }},
		{"Longest drawdown, bars", "", func(m *types.Metrics) string { return count(m.MaxDrawdownBars) }},
		{"Sharpe", "sharpe", func(m *types.Metrics) string { return number(m.Sharpe) }},
		{"Sortino", "sortino", func(m *types.Metrics) string { return number(m.Sortino) }},
		{"Calmar", "calmar", func(m *types.Metrics) string { return number(m.Calmar) }},
		{"Return over drawdown", "return_over_drawdown", func(m *types.Metrics) string { return number(m.OverDrawdown) }},
		{"Trades", "", func(m *types.Metrics) string { return count(m.Trades) }},
		{"Win rate", "win_rate_pct", func(m *types.Metrics) string { return percent(m.WinRatePct) }},
		{"Profit factor", "profit_factor", func(m *types.Metrics) string { return number(m.ProfitFactor) }},
		{"Mean trade", "expectancy_pct", func(m *types.Metrics) string { return percent(m.ExpectancyPct) }},
		{"SQN", "sqn", func(m *types.Metrics) string { return number(m.SQN) }},
		{"Exposure", "exposure_pct", func(m *types.Metrics) string { return percent(m.ExposurePct) }},
		{"Unpaid orders", "", func(m *types.Metrics) string { return count(m.UnpaidOrders) }},
		{"Bars", "", func(m *types.Metrics) string { return count(m.Bars) }},
		{"Returns", "", func(m *types.Metrics) string { return count(m.Periods) }},
		{"Sharpe a return", "sr", func(m *types.Metrics) string { return number(m.SR) }},
		{"Skew of returns", "skew", func(m *types.Metrics) string { return number(m.Skew) }},
		{"Kurtosis of returns", "kurt", func(m *types.Metrics) string { return number(m.Kurt) }},
	}
	all := make([]metricLine, len(lines))
	for i, l := range lines {
		all[i] = metricLine{Name: l.name, IS: l.of(is), Why: is.Undefined[l.id]}
		if oos != nil {
			all[i].OOS = l.of(oos)
			if why := oos.Undefined[l.id]; why != "" && all[i].Why == "" {
				all[i].Why = "out of sample: " + why
			}
		}
	}
	return all
}
