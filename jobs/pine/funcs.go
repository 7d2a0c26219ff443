package pine

import (
	"math"
	"strconv"
	"strings"
	"time"

	"millrace/jobs/pine/ir"
)

// function is a built-in of the machine over its arguments.
type function func(m *machine, c *callInfo, a []float64) (float64, error)

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
			return m.run.intern(spell(int64(a[0]) * 1000))
		}
	case "timeframe.change", "timeframe.change()":
		return timeframeChange
	case "session.islastbar":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			t := timeframe{'D', 1}
			zone := m.run.market.Zone
			return bit(t.start(int64(a[0]), zone) != t.start(int64(a[0])-1, zone)), nil
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

// textFunction are the functions of texts.
func textFunction(name string) function {
	one := func(f func(s string) string) function {
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			if a[0] != a[0] {
				return a[0], nil
			}
			return m.run.intern(f(m.run.text(a[0])))
		}
	}
	test := func(f func(s, t string) bool) function {
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			return bit(a[0] == a[0] && f(m.run.text(a[0]), m.run.text(a[1]))), nil
		}
	}
	switch name {
	case "concat":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			return m.run.intern(m.run.text(a[0]) + m.run.text(a[1]))
		}
	case "string()":
		return func(_ *machine, _ *callInfo, a []float64) (float64, error) { return a[0], nil }
	case "str.tostring":
		return func(m *machine, c *callInfo, a []float64) (float64, error) {
			_, kind, _ := strings.Cut(c.name, "|")
			return m.run.intern(m.run.format(a[0], kind, m.run.text(a[1])))
		}
	case "str.format":
		return strFormat
	case "str.tonumber()":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			v, err := strconv.ParseFloat(strings.TrimSpace(m.run.text(a[0])), 64)
			if err != nil {
				return math.NaN(), nil
			}
			return v, nil
		}
	case "str.length()":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			return float64(len([]rune(m.run.text(a[0])))), nil
		}
	case "str.contains()":
		return test(strings.Contains)
	case "str.startswith()":
		return test(strings.HasPrefix)
	case "str.endswith()":
		return test(strings.HasSuffix)
	case "str.lower()":
		return one(strings.ToLower)
	case "str.upper()":
		return one(strings.ToUpper)
	case "str.trim()":
		return one(strings.TrimSpace)
	case "str.pos()":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			s := m.run.text(a[0])
			i := strings.Index(s, m.run.text(a[1]))
			if i < 0 {
				return math.NaN(), nil
			}
			return float64(len([]rune(s[:i]))), nil
		}
	case "str.substring()":
		return substring
	case "str.replace()", "str.replace_all()":
		return replace
	case "str.repeat()":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			n := int(a[1])
			s, sep := m.run.text(a[0]), m.run.text(a[2])
			if n < 1 || len(s)*n > maxText {
				return m.run.intern("")
			}
			return m.run.intern(strings.TrimSuffix(strings.Repeat(s+sep, n), sep))
		}
	case "str.match()":
		return match
	case "str.format_time()":
		return formatTime
	}
	return nil
}

func substring(m *machine, _ *callInfo, a []float64) (float64, error) {
	s := []rune(m.run.text(a[0]))
	from, to := int(a[1]), len(s)
	if a[2] == a[2] {
		to = int(a[2])
	}
	from, to = min(max(from, 0), len(s)), min(max(to, 0), len(s))
	if from > to {
		from = to
	}
	return m.run.intern(string(s[from:to]))
}

func replace(m *machine, c *callInfo, a []float64) (float64, error) {
	s, old, by := m.run.text(a[0]), m.run.text(a[1]), m.run.text(a[2])
	if strings.HasPrefix(c.name, "str.replace_all") {
		return m.run.intern(strings.ReplaceAll(s, old, by))
	}
	n := 0
	if a[3] == a[3] {
		n = int(a[3])
	}
	at := 0
	for i := 0; ; i++ {
		j := strings.Index(s[at:], old)
		if j < 0 || old == "" {
			return a[0], nil
		}
		if i == n {
			return m.run.intern(s[:at+j] + by + s[at+j+len(old):])
		}
		at += j + len(old)
	}
}

// format writes a value of a kind as str.tostring does.
func (r *Run) format(v float64, kind, layout string) string {
	switch kind {
	case "string":
		if v != v {
			return "NaN"
		}
		return r.text(v)
	case "bool":
		if isTrue(v) {
			return "true"
		}
		return "false"
	}
	if titles, ok := r.program.ir.EnumTitles[kind]; ok && v >= 0 && int(v) < len(titles) {
		return titles[int(v)]
	}
	if v != v {
		return "NaN"
	}
	switch layout {
	case "format.mintick":
		decimals := max(0, int(math.Round(-math.Log10(r.market.Tick))))
		return strconv.FormatFloat(math.Floor(v/r.market.Tick+0.5)*r.market.Tick, 'f', decimals, 64)
	case "format.percent":
		return formatPattern(v, "#.##") + "%"
	case "format.volume", "":
		return formatPattern(v, "#.##########")
	}
	return formatPattern(v, layout)
}

// formatPattern writes a number in a pattern of # and 0.
func formatPattern(v float64, pattern string) string {
	first := strings.IndexAny(pattern, "#0.")
	if first < 0 {
		return pattern
	}
	last := strings.LastIndexAny(pattern, "#0.,")
	prefix, suffix, body := pattern[:first], pattern[last+1:], pattern[first:last+1]
	if strings.HasPrefix(suffix, "%") {
		v *= 100
	}
	whole, fraction, _ := strings.Cut(body, ".")
	most, least := len(fraction), strings.Count(fraction, "0")
	text := strconv.FormatFloat(math.Abs(v), 'f', most, 64)
	if dot := strings.IndexByte(text, '.'); dot >= 0 {
		end := len(text)
		for end > dot+1+least && text[end-1] == '0' {
			end--
		}
		text = strings.TrimSuffix(text[:end], ".")
	}
	digits, rest, _ := strings.Cut(text, ".")
	for len(digits) < strings.Count(whole, "0") {
		digits = "0" + digits
	}
	if strings.Contains(whole, ",") {
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
	}
	if rest != "" {
		digits += "." + rest
	}
	if v < 0 && strings.Trim(digits, "0.,") != "" {
		digits = "-" + digits
	}
	return prefix + digits + suffix
}

// strFormat fills {0}, {1,number,#.##} in a text; the kinds of the arguments stand in the call's name.
func strFormat(m *machine, c *callInfo, a []float64) (float64, error) {
	kinds := strings.Split(c.name, "|")[1:]
	s := m.run.text(a[0])
	var out strings.Builder
	for len(s) > 0 {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(s[open:], '}')
		if end < 0 {
			break
		}
		out.WriteString(s[:open])
		parts := strings.SplitN(s[open+1:open+end], ",", 3)
		if n, err := strconv.Atoi(strings.TrimSpace(parts[0])); err == nil && n >= 0 && n < len(kinds) {
			layout := "#.###"
			if len(parts) == 3 {
				layout = map[string]string{"integer": "#", "percent": "#%", "currency": "$#,###.00"}[parts[2]]
				if layout == "" {
					layout = parts[2]
				}
			}
			out.WriteString(m.run.format(a[n+1], kinds[n], layout))
		}
		s = s[open+end+1:]
	}
	out.WriteString(s)
	return m.run.intern(out.String())
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
