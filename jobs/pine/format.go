package pine

import (
	"math"
	"strconv"
	"strings"

	"millrace/jobs/portable"
)

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
			n := whole(a[1])
			s, sep := m.run.text(a[0]), m.run.text(a[2])
			if n < 1 || n > maxText || (len(s)+len(sep))*n > maxText {
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
	from, to := whole(a[1]), len(s)
	if a[2] == a[2] {
		to = whole(a[2])
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
		n = whole(a[3])
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
	if titles, ok := r.program.ir.EnumTitles[kind]; ok && v >= 0 && v < float64(len(titles)) {
		return titles[int(v)]
	}
	if v != v {
		return "NaN"
	}
	switch layout {
	case "format.mintick":
		decimals := max(0, int(math.Round(-portable.Log10(r.market.Tick))))
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
