package pine

import (
	"math"
	"strings"
	"time"

	"millrace/jobs/pine/ir"
)

// function is a built-in of the machine over its arguments.
type function func(m *machine, c *callInfo, a []float64) (float64, error)

// whole is a number as an int; one that an int cannot hold, or na, is the nearest or the least there is.
func whole(v float64) int {
	const most = 1 << 53
	if !(v > -most) {
		return -most
	}
	return int(min(v, most))
}

// findFunction is the function of an OpFunc, or nil.
func findFunction(name string) function {
	base, _, _ := strings.Cut(name, "|")
	if rest, ok := strings.CutPrefix(base, "math."); ok {
		if rest == "round_to_mintick" {
			return roundToMintick
		}
		if f := ir.Math(rest); f != nil {
			return func(_ *machine, _ *callInfo, a []float64) (float64, error) { return f(a), nil }
		}
		return nil
	}
	if f := marketFunction(base); f != nil {
		return f
	}
	if f := timeFunction(base); f != nil {
		return f
	}
	return textFunction(base)
}

func roundToMintick(m *machine, _ *callInfo, a []float64) (float64, error) {
	tick := m.run.market.Tick
	return math.Floor(a[0]/tick+0.5) * tick, nil
}

// marketFunction are the names that describe the instrument and the bars.
func marketFunction(name string) function {
	text := func(f func(m *machine) string) function {
		return func(m *machine, _ *callInfo, _ []float64) (float64, error) { return m.run.intern(f(m)) }
	}
	number := func(f func(m *machine) float64) function {
		return func(m *machine, _ *callInfo, _ []float64) (float64, error) { return f(m), nil }
	}
	unit := func(units ...byte) function {
		return number(func(m *machine) float64 {
			t, err := parseTimeframe(m.f.tf)
			if err != nil {
				return 0
			}
			for _, u := range units {
				if t.unit == u {
					return 1
				}
			}
			return 0
		})
	}
	switch name {
	case "syminfo.mintick":
		return number(func(m *machine) float64 { return m.run.market.Tick })
	case "syminfo.pointvalue":
		return number(func(m *machine) float64 {
			if v := m.run.market.PointValue; v > 0 {
				return v
			}
			return 1
		})
	case "syminfo.minmove":
		return number(func(m *machine) float64 { return 1 })
	case "syminfo.pricescale":
		return number(func(m *machine) float64 { return math.Round(1 / m.run.market.Tick) })
	case "syminfo.mincontract":
		return number(func(m *machine) float64 { return m.run.market.LotStep })
	case "syminfo.ticker", "syminfo.root", "syminfo.description":
		return text(func(m *machine) string { return m.run.market.Ticker })
	case "syminfo.tickerid", "syminfo.main_tickerid":
		return text(func(m *machine) string { return strings.TrimPrefix(m.run.market.Prefix+":"+m.run.market.Ticker, ":") })
	case "syminfo.prefix":
		return text(func(m *machine) string { return m.run.market.Prefix })
	case "syminfo.currency":
		return text(func(m *machine) string { return m.run.market.Currency })
	case "syminfo.basecurrency":
		return text(func(m *machine) string { return m.run.market.Base })
	case "syminfo.type":
		return text(func(m *machine) string { return m.run.market.Type })
	case "syminfo.session":
		return text(func(m *machine) string { return "regular" })
	case "syminfo.timezone":
		return text(func(m *machine) string { return m.run.market.Zone.String() })
	case "syminfo.volumetype":
		return text(func(m *machine) string { return "base" })
	case "syminfo.country", "syminfo.sector", "syminfo.industry":
		return text(func(m *machine) string { return "" })
	case "timeframe.period":
		return text(func(m *machine) string { return m.f.tf })
	case "timeframe.main_period":
		return text(func(m *machine) string { return m.run.frame.tf })
	case "timeframe.multiplier":
		return number(func(m *machine) float64 {
			t, _ := parseTimeframe(m.f.tf)
			return float64(t.count)
		})
	case "timeframe.isseconds":
		return unit('S')
	case "timeframe.isminutes":
		return unit('m')
	case "timeframe.isintraday":
		return unit('S', 'm')
	case "timeframe.isdaily":
		return unit('D')
	case "timeframe.isweekly":
		return unit('W')
	case "timeframe.ismonthly":
		return unit('M')
	case "timeframe.isdwm":
		return unit('D', 'W', 'M')
	case "timeframe.in_seconds()":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			tf := m.f.tf
			if s := m.run.text(a[0]); s != "" {
				tf = s
			}
			t, err := parseTimeframe(tf)
			return float64(t.millis() / 1000), err
		}
	case "timeframe.from_seconds()":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			return m.run.intern(spell(int64(whole(a[0])) * 1000))
		}
	case "timeframe.change", "timeframe.change()":
		return timeframeChange
	case "session.islastbar":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			t := timeframe{'D', 1}
			zone := m.run.market.Zone
			return bit(t.start(int64(whole(a[0])), zone) != t.start(int64(whole(a[0]))-1, zone)), nil
		}
	}
	return nil
}

// timeframeChange reports whether the bar begins a new period of a timeframe; the first bar does not.
func timeframeChange(m *machine, _ *callInfo, a []float64) (float64, error) {
	tf := m.run.text(a[0])
	if tf == "" {
		tf = m.f.tf
	}
	t, err := parseTimeframe(tf)
	if err != nil {
		return 0, err
	}
	if m.bar == 0 {
		return 0, nil
	}
	times := m.f.series[ir.SeriesTime]
	zone := m.run.market.Zone
	return bit(t.start(int64(times[m.bar]), zone) != t.start(int64(times[m.bar-1]), zone)), nil
}

// zone finds a time zone by name: an IANA name, or UTC and GMT with an offset.
func (r *Run) zone(name string) (*time.Location, error) {
	if name == "" || name == "Exchange" {
		return r.market.Zone, nil
	}
	if z := r.zones[name]; z != nil {
		return z, nil
	}
	z, err := parseZone(name)
	if err != nil {
		return nil, err
	}
	r.zones[name] = z
	return z, nil
}
