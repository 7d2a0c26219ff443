package tradelist

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"millrace/jobs/backtest"
)

func header() []string {
	return []string{
		"Trade #", "Type", "Date and time", "Signal", "Price", "Position size (qty)", "Position size (value)",
		"Net P&L", "Net P&L %", "Favorable excursion", "Favorable excursion %", "Adverse excursion", "Adverse excursion %",
		"Cumulative P&L", "Cumulative P&L %",
	}
}

// Write writes closed trades in the order given. Cumulative percentages are of the capital; they are left
// empty when it is 0, as excursions are of trades that have none.
func Write(w io.Writer, trades []backtest.Trade, capital float64) error {
	out := csv.NewWriter(w)
	if err := out.Write(header()); err != nil {
		return fmt.Errorf("write trades: %w", err)
	}
	cumulative := 0.0
	for i := range trades {
		t := &trades[i]
		cumulative += t.PnL
		exit := t.ExitSignal
		if exit == "" {
			exit = t.ExitReason
		}
		for _, end := range []struct {
			kind, signal string
			at           int64
			price        float64
		}{{"Exit", exit, t.ExitTime, t.ExitPrice}, {"Entry", t.EntrySignal, t.EntryTime, t.EntryPrice}} {
			value := t.Size * t.EntryPrice
			up, upPct, down, downPct := "", "", "", ""
			if t.Runup != 0 || t.Drawdown != 0 {
				up, upPct = amount(t.Runup), amount(percent(t.Runup, value))
				down, downPct = amount(-t.Drawdown), amount(percent(-t.Drawdown, value))
			}
			total := ""
			if capital > 0 {
				total = amount(percent(cumulative, capital))
			}
			err := out.Write([]string{
				strconv.Itoa(i + 1), end.kind + " " + string(t.Side), stamp(end.at), end.signal, exact(end.price), exact(t.Size), amount(t.Size * end.price),
				amount(t.PnL), amount(t.ReturnPct), up, upPct, down, downPct, amount(cumulative), total,
			})
			if err != nil {
				return fmt.Errorf("write trades: %w", err)
			}
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write trades: %w", err)
	}
	return nil
}

func percent(part, whole float64) float64 { return 100 * part / whole }

// exact is a number without an exponent.
func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// amount is a number with at most six decimals: sums of floats end in noise.
func amount(v float64) string {
	rounded := math.Round(v*1e6) / 1e6
	if rounded == 0 {
		rounded = 0 // not "-0"
	}
	return exact(rounded)
}

// stamp is a time as charts write it: to the minute unless it has seconds.
func stamp(micros int64) string {
	t := time.UnixMicro(micros).UTC()
	if t.Second() != 0 {
		return t.Format(time.DateTime)
	}
	return t.Format("2006-01-02 15:04")
}
