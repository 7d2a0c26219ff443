package tearsheet

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"millrace/api/console/chart"
	"millrace/api/types"
	"millrace/jobs/backtest/report"
)

// drawdownsShown is how many drawdowns are listed.
const drawdownsShown = 10

// Sheet is what a page says.
type Sheet struct {
	Kind     string // "Tune", "Walk-forward", "Run"
	Title    string
	ID       string
	Facts    []Fact
	Evidence *types.Evidence // nil: a run has no verdict, nor has what ended without one
	Columns  []string        // of the figures: the parts of the bars
	Figures  []Figure
	Curve    report.Curve // empty: nothing was traded
	Curves   string       // what the curve is of
	Split    int64        // when the part begins that nothing was chosen by, Unix microseconds; 0: none
	Warnings []string
	Excluded []Excluded // of a tune without a best trial: why, most trials first
	Admits   string     // limits that would admit the nearest trials; "": none would
	Made     time.Time
}

// Fact is one line about the result.
type Fact struct{ Name, Value string }

// Excluded is a reason why trials are not on the leaderboard, and how many it holds for.
type Excluded struct {
	Trials int
	Why    string
}

// Figure is one figure on each part.
type Figure struct {
	Name   string
	Values []*float64
}

// Metrics are the figures of the parts, in the order of the columns. A part that is nil has none.
func Metrics(parts ...*types.Metrics) []Figure {
	var figures []Figure
	for _, f := range []struct {
		name string
		of   func(m *types.Metrics) *float64
	}{
		{"Return, %", func(m *types.Metrics) *float64 { return m.ReturnPct }},
		{"Return a year, %", func(m *types.Metrics) *float64 { return m.CAGRPct }},
		{"Buy and hold, %", func(m *types.Metrics) *float64 { return m.BuyHoldPct }},
		{"Deepest drawdown, %", func(m *types.Metrics) *float64 { return m.MaxDrawdownPct }},
		{"Longest drawdown, bars", func(m *types.Metrics) *float64 { return new(float64(m.MaxDrawdownBars)) }},
		{"Sharpe", func(m *types.Metrics) *float64 { return m.Sharpe }},
		{"Sortino", func(m *types.Metrics) *float64 { return m.Sortino }},
		{"Calmar", func(m *types.Metrics) *float64 { return m.Calmar }},
		{"Trades", func(m *types.Metrics) *float64 { return new(float64(m.Trades)) }},
		{"Trades that won, %", func(m *types.Metrics) *float64 { return m.WinRatePct }},
		{"Profit factor", func(m *types.Metrics) *float64 { return m.ProfitFactor }},
		{"Mean trade, %", func(m *types.Metrics) *float64 { return m.ExpectancyPct }},
		{"Time with a position, %", func(m *types.Metrics) *float64 { return m.ExposurePct }},
	} {
		figure := Figure{Name: f.name}
		for _, part := range parts {
			var value *float64
			if part != nil {
				value = f.of(part)
			}
			figure.Values = append(figure.Values, value)
		}
		figures = append(figures, figure)
	}
	return figures
}

//go:embed sheet.html
var pageText string

//go:embed sheet.css
var style string

// policy lets the page use its own style and nothing else.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// Policy is the Content-Security-Policy to send with the page; the page carries it too.
func Policy() string { return policy() + "; frame-ancestors 'none'" }

// page is what the template reads.
type page struct {
	Sheet
	Style                     template.CSS
	Policy                    string
	Equity, Drawdown, Rolling template.HTML
	RollingPeriods            int
	Years                     []report.Year
	Months                    [12]string
	Drawdowns                 []report.Drawdown
}

// Render writes the page.
func Render(w io.Writer, s Sheet) error {
	t, err := template.New("sheet").Funcs(template.FuncMap{
		"num": num, "pct": pct, "day": day, "test": testName, "tone": tone, "yes": func(v *bool) bool { return v != nil && *v },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse the tear sheet: %w", err)
	}
	p := page{Sheet: s, Style: template.CSS(style), Policy: policy()} //nolint:gosec // our own style
	for i := range p.Months {
		p.Months[i] = time.Month(i + 1).String()[:3]
	}
	p.draw()
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return fmt.Errorf("write the tear sheet: %w", err)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// draw makes the charts and tables of the curve.
func (p *page) draw() {
	c := p.Curve
	if len(c.Equity) == 0 {
		return
	}
	times := c.Bars.Time[c.Window.From : c.Window.From+len(c.Equity)]
	var spans []chart.Span
	if p.Split > 0 {
		spans = append(spans, chart.Span{From: p.Split, To: times[len(times)-1], Name: "out of sample"})
	}
	p.Equity = chart.Lines("Equity, and buy and hold from the same start", 260, []chart.Series{
		{Name: "equity", Class: "s1", Time: times, Values: c.Equity}, {Name: "buy and hold", Class: "s2", Time: times, Values: c.BuyAndHold().Equity},
	}, spans...)
	p.Drawdown = chart.Lines("Drawdown in percent", 140, []chart.Series{{Name: "drawdown", Class: "down", Time: times, Values: c.Underwater(), Area: true}})
	p.RollingPeriods = c.RollingPeriods()
	rolling := chart.Series{Name: "Sharpe", Class: "s1"}
	for _, at := range c.RollingSharpe(p.RollingPeriods) {
		rolling.Time, rolling.Values = append(rolling.Time, at.Time), append(rolling.Values, at.Value)
	}
	if len(rolling.Time) > 0 {
		p.Rolling = chart.Lines("Rolling Sharpe ratio", 160, []chart.Series{rolling})
	}
	p.Years, p.Drawdowns = c.Monthly(), c.Drawdowns(drawdownsShown)
}

// testName is what a test behind a verdict is called.
func testName(c types.EvidenceCheck) string {
	if c.Title != "" {
		return c.Title
	}
	id := c.Name
	switch id {
	case "spa":
		return "Superior predictive ability"
	case "dsr":
		return "Deflated Sharpe ratio of the excess"
	case "fold_loss":
		return "Folds that lose"
	case "paths":
		return "Cross-validation paths"
	case "permutation":
		return "Permutations"
	}
	name := strings.ReplaceAll(id, "_", " ")
	return strings.ToUpper(name[:min(1, len(name))]) + name[min(1, len(name)):]
}

// num writes a figure as short as it can be read; one that is undefined is a dash.
func num(v any) string {
	f := value(v)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "–"
	case f == math.Trunc(f) && math.Abs(f) < 1e9:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case math.Abs(f) >= 1000:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case math.Abs(f) < 0.01:
		return strconv.FormatFloat(f, 'g', 2, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// pct writes a return in percent with its sign.
func pct(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return fmt.Sprintf("%+.1f", v)
}

func value(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case *float64:
		if v != nil {
			return *v
		}
	}
	return math.NaN()
}

func day(micros int64) string {
	if micros == 0 {
		return "not yet"
	}
	return time.UnixMicro(micros).UTC().Format(time.DateOnly)
}

func tone(v float64) string {
	if v < 0 {
		return "bad"
	}
	return ""
}
