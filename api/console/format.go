package console

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/api/console/chart"
	"millrace/api/types"
)

func (p *Pages) funcs() template.FuncMap {
	return template.FuncMap{
		"asset": p.assetPath, "icon": icon,
		"num": number, "signed": signed, "pct": percent, "count": whole, "plural": plural, "share": share,
		"ago": ago, "when": when, "day": func(t time.Time) string { return t.UTC().Format("2006-01-02") },
		"past": func(t time.Time) bool { return !time.Now().Before(t) },
		"span": span, "eta": eta, "short": shortID, "params": params, "pretty": pretty,
		"join": strings.Join, "split": func(list string) []string { return strings.Split(list, ",") }, "title": title, "warning": types.ShownWarning, "deref": func(v *float64) float64 { return *v },
		"dict": dict, "months": monthNames, "month": monthText, "shade": shade, "date": func(micros int64) string { return chart.Day(micros) }, "labelhref": labelHref, "limits": limitsText, "part": partText, "inputs": inputsOf, "exact": plain, "price": priceText, "add": func(a, b int) int { return a + b },
		"minute": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }, "ownCommission": ownCommission, "lasting": lasting, "tone": tone, "verdict": verdict, "checkname": checkName, "checkid": checkID, "yes": func(v *bool) bool { return v != nil && *v }, "ends": endsSoon, "has": func(list []string, v string) bool { return slices.Contains(list, v) },
	}
}

// number writes a figure that may be missing.
func number(v any) string {
	f, ok := figure(v)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return "–"
	}
	decimals := 3
	switch a := math.Abs(f); {
	case f == math.Trunc(f) && a < 1e15:
		return count(int(f))
	case a >= 1000:
		decimals = 0
	case a >= 100:
		decimals = 1
	case a >= 10:
		decimals = 2
	}
	return decimal(f, decimals)
}

// decimal writes a number with a minus sign of its own, which what is rounded to zero has none of.
func decimal(f float64, decimals int) string {
	text, negative := strings.CutPrefix(strconv.FormatFloat(f, 'f', decimals, 64), "-")
	if negative && strings.Trim(text, "0.") != "" {
		return "−" + text
	}
	return text
}

// plural writes a number of things whose noun takes an s.
func plural(v any, noun string) string {
	if n, ok := figure(v); ok && n == 1 {
		return "1 " + noun
	}
	return number(v) + " " + noun + "s"
}

func signed(v any) string {
	f, ok := figure(v)
	if ok && f > 0 {
		return "+" + number(v)
	}
	return number(v)
}

func percent(v any) string {
	f, ok := figure(v)
	if !ok || math.IsNaN(f) {
		return "–"
	}
	return decimal(f, 1) + " %"
}

// share writes a fraction as a percentage.
func share(v any) string {
	f, ok := figure(v)
	if !ok {
		return "–"
	}
	return percent(100 * f)
}

func figure(v any) (float64, bool) {
	switch f := v.(type) {
	case float64:
		return f, true
	case *float64:
		if f == nil {
			return 0, false
		}
		return *f, true
	case int:
		return float64(f), true
	case *int:
		if f == nil {
			return 0, false
		}
		return float64(*f), true
	case int64:
		return float64(f), true
	case *int64:
		if f == nil {
			return 0, false
		}
		return float64(*f), true
	}
	return 0, false
}

// tone is the class of a figure that is good above zero and bad below.
func tone(v any) string {
	switch f, ok := figure(v); {
	case !ok:
		return "muted"
	case f > 0:
		return "good"
	case f < 0:
		return "bad"
	}
	return ""
}

// verdict says in a word what an overfit figure means.
func verdict(figure string, v *float64) string {
	switch {
	case v == nil:
		return "undefined"
	case figure == "dsr" && *v >= 0.95, figure == "pbo" && *v <= 0.2:
		return "convincing"
	case figure == "dsr" && *v < 0.8, figure == "pbo" && *v > 0.5:
		return "likely luck"
	}
	return "doubtful"
}

// count writes a whole number in groups of three.
func count(n int) string {
	text := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, text = "−", text[1:]
	}
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "\u202f" + text[at:]
	}
	return sign + text
}

// whole is count for templates, whose numbers are of any kind. What is missing is a dash.
func whole(v any) string {
	f, ok := figure(v)
	if !ok {
		return "–"
	}
	return count(int(f))
}

// when writes a time for reading, as an element that a script changes to the reader's own.
func when(t any) template.HTML {
	at, ok := instant(t)
	if !ok {
		return "–"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, at.Format(time.RFC3339), at.Format("2006-01-02 15:04:05")))
}

// ago writes how long ago something was; the whole time shows when it is pointed at.
func ago(t any) template.HTML {
	at, ok := instant(t)
	if !ok {
		return "–"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC" data-ago>%s</time>`,
		at.Format(time.RFC3339), at.Format("2006-01-02 15:04:05"), sinceText(time.Since(at))))
}

func sinceText(d time.Duration) string {
	if d < 5*time.Second {
		return "now"
	}
	return roughly(d) + " ago"
}

func instant(t any) (time.Time, bool) {
	switch at := t.(type) {
	case time.Time:
		return at.UTC(), !at.IsZero()
	case *time.Time:
		if at != nil {
			return at.UTC(), !at.IsZero()
		}
	}
	return time.Time{}, false
}

// roughly writes a duration with its leading unit or two.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// span is how long something took, or has been taking.
func span(from, to *time.Time) string {
	if from == nil {
		return "–"
	}
	end := time.Now()
	if to != nil {
		end = *to
	}
	d := end.Sub(*from)
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return roughly(d)
}

// lasting is a length of time in its two largest units, as in 2 d 17 h.
func lasting(d time.Duration) string {
	const day = 24 * time.Hour
	parts := []string{}
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / unit.of; n > 0 && len(parts) < 2 {
			parts = append(parts, count(int(n))+" "+unit.name)
			d %= unit.of
		} else if len(parts) > 0 {
			break
		}
	}
	if len(parts) == 0 {
		return d.String()
	}
	return strings.Join(parts, " ")
}

func eta(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return roughly(time.Duration(*seconds * float64(time.Second)))
}

func shortID(id string) string {
	if len(id) > 8 {
		return id[len(id)-8:]
	}
	return id
}

// params is paramText for templates, whose parameters may be null.
func params(v any) string {
	switch p := v.(type) {
	case map[string]float64:
		return paramText(p)
	case *map[string]float64:
		if p != nil {
			return paramText(*p)
		}
	}
	return ""
}

// paramText writes parameters in the order of their names.
func paramText(params map[string]float64) string {
	parts := make([]string, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		parts = append(parts, name+" "+chart.Short(params[name]))
	}
	return strings.Join(parts, " · ")
}

func pretty(raw json.RawMessage) string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return string(raw)
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return string(raw)
	}
	return string(text)
}

// monthNames head the table of monthly returns.
func monthNames() []string {
	return []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
}

// priceText writes a price without the noise of single precision; the exact one is in its title and in the CSV.
func priceText(v float64) string { return strconv.FormatFloat(v, 'g', 7, 64) }

// monthText writes a return of a month in percent.
func monthText(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return decimal(v, 1)
}

// shade is the class of a month's return: how far it is from zero, in three steps each way.
func shade(v float64) string {
	if math.IsNaN(v) || math.Abs(v) < 0.05 {
		return ""
	}
	step := 1 + min(int(math.Abs(v)/3), 2)
	if v < 0 {
		return "loss" + strconv.Itoa(step)
	}
	return "gain" + strconv.Itoa(step)
}

// partText is the part of the bars that limits are held against.
func partText(evaluatedOn string) string {
	switch evaluatedOn {
	case "oos":
		return "out of sample"
	case "is":
		return "in sample"
	}
	return "on all bars"
}

func title(text string) string {
	switch text {
	case "":
		return text
	case "llm", "sse", "wfo":
		return strings.ToUpper(text)
	case "api_keys":
		return "API keys"
	case "walk_forwards":
		return "Walk-forwards"
	}
	first, _, sentence := strings.Cut(text, " ")
	switch {
	case strings.ContainsAny(first, "_."): // a field of the API, which is named as it is
		if sentence {
			return text
		}
	case sentence:
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return strings.ToUpper(text[:1]) + strings.ReplaceAll(text[1:], "_", " ")
}

// dict lets a template pass several values to a part.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict of %d values", len(pairs))
	}
	all := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is not a name", pairs[i])
		}
		all[name] = pairs[i+1]
	}
	return all, nil
}
