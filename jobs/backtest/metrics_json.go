package backtest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
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

// floats lists the figures with their JSON names and why one can be undefined.
func (m *Metrics) floats() []struct {
	name   string
	value  *float64
	reason string
} {
	return []struct {
		name   string
		value  *float64
		reason string
	}{
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
func (m Metrics) MarshalJSON() ([]byte, error) {
	out := metricsJSON{Bars: m.Bars, Trades: m.Trades, MaxDrawdownBars: m.MaxDrawdownBars, Periods: m.Periods, UnpaidOrders: m.UnpaidOrders}
	targets := out.targets()
	for i, f := range m.floats() {
		if math.IsNaN(*f.value) || math.IsInf(*f.value, 0) {
			if out.Undefined == nil {
				out.Undefined = map[string]string{}
			}
			if out.Undefined[f.name] = f.reason; math.IsInf(*f.value, 0) {
				out.Undefined[f.name] = overflow(f.name)
			}
			continue
		}
		*targets[i] = f.value
	}
	return json.Marshal(out)
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
