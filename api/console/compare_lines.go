package console

import (
	"slices"
	"strings"

	"millrace/api/types"
)

// compareLines are the rows of the comparison that differ, or those that are the same.
func compareLines(chosen []compared, differ bool) []compareLine {
	var all []compareLine
	row := func(name string, cell func(t compared) (text, tone string)) {
		line := compareLine{Name: name}
		for _, t := range chosen {
			text, tone := cell(t)
			line.Cells, line.Tones = append(line.Cells, text), append(line.Tones, tone)
		}
		line.Differs = len(chosen) < 2 || len(slices.Compact(slices.Clone(line.Cells))) > 1
		if line.Differs == differ {
			all = append(all, line)
		}
	}
	text := func(name string, of func(t compared) string) {
		row(name, func(t compared) (string, string) { return of(t), "" })
	}
	text("State", func(t compared) string { return string(t.Status) })
	text("Strategy", func(t compared) string { return t.StrategyName })
	text("Dataset", func(t compared) string { return t.tune.Dataset() })
	text("Search", func(t compared) string { return string(t.SearchType) })
	text("Trials", func(t compared) string { return count(t.NTrials) })
	text("Space", func(t compared) string {
		var lines []string
		for _, s := range t.Space {
			lines = append(lines, s.Name+" "+s.Range)
		}
		return strings.Join(lines, "; ")
	})
	text("Constraints", func(t compared) string { return strings.Join(t.Spec.Constraints, ", ") })
	text("Side", func(t compared) string { return string(t.Spec.Side) })
	text("Objective", func(t compared) string { return string(t.ObjectiveType) })
	text("Out-of-sample share", func(t compared) string { return number(t.Spec.OOSRatio) })
	text("Gates", func(t compared) string { return limitsText(t.Spec.Gates) })
	text("Commission", func(t compared) string {
		if c := t.Spec.Account.Commission; c != nil {
			return plain(c.Fraction)
		}
		return "–"
	})
	text("Parameters", func(t compared) string { return orDash(paramText(t.Params)) })
	for i, name := range []string{"Score in sample", "Score out of sample", "Overfit gap"} {
		row(name, func(t compared) (string, string) {
			if i == 2 { // the larger the gap, the worse
				return number(t.Score[i]), ""
			}
			return number(t.Score[i]), tone(t.Score[i])
		})
	}
	for _, figure := range []struct {
		name string
		of   func(*types.Metrics) *float64
		text func(any) string
	}{
		{"Return", func(m *types.Metrics) *float64 { return m.ReturnPct }, percent},
		{"Drawdown", func(m *types.Metrics) *float64 { return m.MaxDrawdownPct }, percent},
		{"Sharpe", func(m *types.Metrics) *float64 { return m.Sharpe }, number},
		{"Profit factor", func(m *types.Metrics) *float64 { return m.ProfitFactor }, number},
		{"Trades", func(m *types.Metrics) *float64 { return new(float64(m.Trades)) }, number},
	} {
		part := func(m *types.Metrics) string {
			if m == nil {
				return "–"
			}
			return figure.text(figure.of(m))
		}
		text(figure.name+", in sample", func(t compared) string { return part(t.IS) })
		text(figure.name+", out of sample", func(t compared) string { return part(t.OOS) })
	}
	evidence := func(name string, of func(*types.Overfit) *float64) {
		text(name, func(t compared) string {
			if o := t.Overfit(); o != nil {
				return number(of(o))
			}
			return "–"
		})
	}
	evidence("Deflated Sharpe of own returns", func(o *types.Overfit) *float64 { return o.DSR })
	evidence("P(overfit)", func(o *types.Overfit) *float64 { return o.PBO })
	evidence("Stability", func(o *types.Overfit) *float64 { return o.Stability })
	return all
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
