package console

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/jobs/backtest"
)

// mostTrades is how many trades a page lists at once; the rest is in the CSV, and sorting is of all.
const mostTrades = 500

// tradeLine is one row of the list of trades.
type tradeLine struct {
	backtest.Trade
	Number int
	Part   string // "in", "out", or "" without a split
}

func (t tradeLine) Entry() time.Time { return time.UnixMicro(t.EntryTime).UTC() }
func (t tradeLine) Exit() time.Time  { return time.UnixMicro(t.ExitTime).UTC() }

// Bars is how long the position was held.
func (t tradeLine) Bars() int { return t.ExitBar - t.EntryBar }

// tradeOrders are the columns that trades can be sorted by.
func tradeOrders() map[string]func(a, b tradeLine) int {
	by := func(of func(tradeLine) float64) func(a, b tradeLine) int {
		return func(a, b tradeLine) int {
			switch x, y := of(a), of(b); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return a.Number - b.Number
		}
	}
	return map[string]func(a, b tradeLine) int{
		"number": by(func(t tradeLine) float64 { return float64(t.Number) }), "side": func(a, b tradeLine) int { return strings.Compare(string(a.Side), string(b.Side)) },
		"size": by(func(t tradeLine) float64 { return t.Size }), "bars": by(func(t tradeLine) float64 { return float64(t.Bars()) }),
		"profit": by(func(t tradeLine) float64 { return t.PnL }), "return": by(func(t tradeLine) float64 { return t.ReturnPct }),
	}
}

// listTrades sorts all trades by the column that the address names, "-" for downwards, and keeps a page.
func (d *trialData) listTrades(c echo.Context, r *result, query string) {
	d.Sorted = c.QueryParam("sort")
	column, down := strings.CutPrefix(d.Sorted, "-")
	orders := tradeOrders()
	order := orders[column]
	shown := r.Trades
	if d.Left = max(len(shown)-mostTrades, 0); order == nil {
		shown = shown[:len(shown)-d.Left]
	}
	lines := make([]tradeLine, len(shown))
	for i, t := range shown {
		lines[i] = tradeLine{Trade: t, Number: i + 1}
		if r.OOS.Len() > 0 {
			lines[i].Part = "in"
			if i >= r.InSample {
				lines[i].Part = "out"
			}
		}
	}
	d.Signals = slices.ContainsFunc(r.Trades, func(t backtest.Trade) bool { return t.EntrySignal != "" || t.ExitSignal != "" })
	if order != nil {
		slices.SortStableFunc(lines, order)
		if down {
			slices.Reverse(lines)
		}
	}
	d.Orders = map[string]string{}
	for name := range orders {
		next := "-" + name
		if d.Sorted == next {
			next = name
		}
		d.Orders[name] = "?sort=" + next + query + "#h-trades"
	}
	d.Trades = lines[:len(r.Trades)-d.Left]
}

// writeTradesCSV writes every trade, in order of its entry.
func writeTradesCSV(c echo.Context, r *result) error {
	rows := [][]string{{"number", "part", "side", "size", "entry_time", "entry_price", "exit_time", "exit_price", "bars", "pnl", "return_pct", "exit_reason", "entry_signal", "exit_signal"}}
	for i, t := range r.Trades {
		part := "all"
		if r.OOS.Len() > 0 {
			part = "in_sample"
			if i >= r.InSample {
				part = "out_of_sample"
			}
		}
		rows = append(rows, []string{
			strconv.Itoa(i + 1), part, string(t.Side), plain(t.Size), time.UnixMicro(t.EntryTime).UTC().Format(time.RFC3339Nano), plain(t.EntryPrice),
			time.UnixMicro(t.ExitTime).UTC().Format(time.RFC3339Nano), plain(t.ExitPrice), strconv.Itoa(t.ExitBar - t.EntryBar), plain(t.PnL), plain(t.ReturnPct),
			t.ExitReason, t.EntrySignal, t.ExitSignal,
		})
	}
	c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="trades.csv"`)
	c.Response().WriteHeader(http.StatusOK)
	return csv.NewWriter(c.Response()).WriteAll(rows)
}
