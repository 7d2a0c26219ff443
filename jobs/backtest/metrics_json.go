package backtest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// metricsJSON is the JSON form of Metrics: undefined figures are null, their reasons beside them.
type metricsJSON struct {
	Bars            int               `json:"bars"`
	Trades          int               `json:"trades"`
	FinalEquity     *float64          `json:"final_equity"`
	ReturnPct       *float64          `json:"return_pct"`
	CAGRPct         *float64          `json:"cagr_pct"`
	MaxDrawdownPct  *float64          `json:"max_drawdown_pct"`
	MaxDrawdownBars int               `json:"max_drawdown_bars"`
	Sharpe          *float64          `json:"sharpe"`
	Sortino         *float64          `json:"sortino"`
	Calmar          *float64          `json:"calmar"`
	WinRatePct      *float64          `json:"win_rate_pct"`
	ProfitFactor    *float64          `json:"profit_factor"`
	ExpectancyPct   *float64          `json:"expectancy_pct"`
	SQN             *float64          `json:"sqn"`
	ExposurePct     *float64          `json:"exposure_pct"`
	BuyHoldPct      *float64          `json:"buy_hold_pct"`
	Periods         int               `json:"periods"`
	SR              *float64          `json:"sr"`
	Skew            *float64          `json:"skew"`
	Kurt            *float64          `json:"kurt"`
	OverDrawdown    *float64          `json:"return_over_drawdown"`
	UnpaidOrders    int               `json:"unpaid_orders"`
	Undefined       map[string]string `json:"undefined,omitempty"`
}

const (
	reasonPeriods  = "fewer than two periods, or returns that never vary"
	reasonDownside = "no period lost money"
	reasonDrawdown = "equity never fell below a peak"
	reasonTrades   = "no closed trade"
	reasonLosses   = "no losing trade"
	reasonSpread   = "fewer than two trades, or profits that never vary"
	reasonRuin     = "equity ended at or below zero"
	reasonBars     = "no bars"
	reasonOverflow = "overflow: too large to be a number"
	reasonGrowth   = "overflow: over 1000000 % a year; the window is too short to annualise"
)

// metricsFloats is how many figures are not counts.
const metricsFloats = 17

type metricsFloat struct {
	name   string
	value  *float64
	reason string
}

// floats lists the figures with their JSON names and why one can be undefined.
func (m *Metrics) floats() [metricsFloats]metricsFloat {
	return [metricsFloats]metricsFloat{
		{"final_equity", &m.FinalEquity, reasonBars},
		{"return_pct", &m.ReturnPct, reasonBars},
		{"cagr_pct", &m.CAGRPct, reasonRuin},
		{"max_drawdown_pct", &m.MaxDrawdownPct, reasonBars},
		{"sharpe", &m.Sharpe, reasonPeriods},
		{"sortino", &m.Sortino, reasonDownside},
		{"calmar", &m.Calmar, reasonDrawdown},
		{"win_rate_pct", &m.WinRatePct, reasonTrades},
		{"profit_factor", &m.ProfitFactor, reasonLosses},
		{"expectancy_pct", &m.ExpectancyPct, reasonTrades},
		{"sqn", &m.SQN, reasonSpread},
		{"exposure_pct", &m.ExposurePct, reasonBars},
		{"buy_hold_pct", &m.BuyHoldPct, reasonBars},
		{"sr", &m.SR, reasonPeriods},
		{"skew", &m.Skew, reasonPeriods},
		{"kurt", &m.Kurt, reasonPeriods},
		{"return_over_drawdown", &m.ReturnOverDrawdown, reasonDrawdown},
	}
}

// overflow is why an infinite figure is none.
func overflow(name string) string {
	if name == "cagr_pct" || name == "calmar" {
		return reasonGrowth
	}
	return reasonOverflow
}

// JSONForms gives the API's document the JSON form of Metrics.
func (Metrics) JSONForms() []any { return []any{metricsJSON{}} }

// MarshalJSON implements json.Marshaler.
func (m Metrics) MarshalJSON() ([]byte, error) { return m.AppendJSON(nil), nil }

// AppendJSON appends the JSON form, metricsJSON's. A leaderboard has two thousand of them.
func (m *Metrics) AppendJSON(to []byte) []byte {
	to = appendCount(append(to, '{'), "bars", m.Bars)
	to = appendCount(append(to, ','), "trades", m.Trades)
	floats := m.floats()
	undefined := false
	for i := range floats {
		f := &floats[i]
		switch f.name { // counts that come before it
		case "sharpe":
			to = appendCount(append(to, ','), "max_drawdown_bars", m.MaxDrawdownBars)
		case "sr":
			to = appendCount(append(to, ','), "periods", m.Periods)
		}
		to = append(append(append(to, `,"`...), f.name...), `":`...)
		if math.IsNaN(*f.value) || math.IsInf(*f.value, 0) {
			to, undefined = append(to, "null"...), true
			continue
		}
		to = AppendJSONFloat(to, *f.value)
	}
	to = appendCount(append(to, ','), "unpaid_orders", m.UnpaidOrders)
	if undefined {
		to = m.appendUndefined(append(to, `,"undefined":`...))
	}
	return append(to, '}')
}

// appendUndefined appends why figures are undefined.
func (m *Metrics) appendUndefined(to []byte) []byte {
	reasons := map[string]string{}
	for _, f := range m.floats() {
		if math.IsInf(*f.value, 0) {
			reasons[f.name] = overflow(f.name)
		} else if math.IsNaN(*f.value) {
			reasons[f.name] = f.reason
		}
	}
	text, _ := json.Marshal(reasons) // strings alone: nothing that can fail
	return append(to, text...)
}

func appendCount(to []byte, name string, n int) []byte {
	to = append(append(append(to, '"'), name...), `":`...)
	return strconv.AppendInt(to, int64(n), 10)
}

// AppendJSONFloat appends a finite number as encoding/json writes it: the shortest digits that read back as the same number, with an
// exponent below 1e-6 and from 1e21 on, as ECMAScript has them.
func AppendJSONFloat(to []byte, f float64) []byte {
	size := math.Abs(f)
	if size == 0 || size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(to, f, 'f', -1, 64)
	}
	to = strconv.AppendFloat(to, f, 'e', -1, 64)
	if n := len(to); n >= 4 && to[n-4] == 'e' && to[n-3] == '-' && to[n-2] == '0' { // e-09
		to[n-2], to = to[n-1], to[:n-1]
	}
	return to
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Metrics) UnmarshalJSON(data []byte) error {
	var in metricsJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*m = Metrics{Bars: in.Bars, Trades: in.Trades, MaxDrawdownBars: in.MaxDrawdownBars, Periods: in.Periods, UnpaidOrders: in.UnpaidOrders}
	targets := in.targets()
	for i, f := range m.floats() {
		*f.value = math.NaN()
		if *targets[i] != nil {
			*f.value = **targets[i]
		} else if strings.HasPrefix(in.Undefined[f.name], "overflow") {
			*f.value = math.Inf(1)
		}
	}
	return nil
}

// targets lists the members in the order of Metrics.floats.
func (j *metricsJSON) targets() []**float64 {
	return []**float64{
		&j.FinalEquity, &j.ReturnPct, &j.CAGRPct, &j.MaxDrawdownPct, &j.Sharpe, &j.Sortino, &j.Calmar, &j.WinRatePct,
		&j.ProfitFactor, &j.ExpectancyPct, &j.SQN, &j.ExposurePct, &j.BuyHoldPct, &j.SR, &j.Skew, &j.Kurt, &j.OverDrawdown,
	}
}

// MetricsBytes is the length of one Metrics as AppendBinary writes it.
const MetricsBytes = 5*4 + 17*8

// AppendBinary appends the metrics in a fixed-size little-endian form.
func (m *Metrics) AppendBinary(to []byte) []byte {
	for _, n := range [...]int{m.Bars, m.Trades, m.MaxDrawdownBars, m.Periods, m.UnpaidOrders} {
		to = binary.LittleEndian.AppendUint32(to, uint32(n))
	}
	for _, f := range m.floats() {
		to = binary.LittleEndian.AppendUint64(to, math.Float64bits(*f.value))
	}
	return to
}

// DecodeMetrics reads what AppendBinary wrote, and returns the rest of data.
func DecodeMetrics(data []byte) (Metrics, []byte, error) {
	var m Metrics
	if len(data) < MetricsBytes {
		return m, nil, errors.New("metrics are cut short")
	}
	for _, n := range [...]*int{&m.Bars, &m.Trades, &m.MaxDrawdownBars, &m.Periods, &m.UnpaidOrders} {
		*n = int(binary.LittleEndian.Uint32(data))
		data = data[4:]
	}
	for _, f := range m.floats() {
		*f.value = math.Float64frombits(binary.LittleEndian.Uint64(data))
		data = data[8:]
	}
	return m, data, nil
}
