package tearsheet_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/tearsheet"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/report"
)

func sheet(t *testing.T) tearsheet.Sheet {
	t.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 2, Bars: 900})
	require.NoError(t, err)
	equity := make([]float64, bars.Len())
	for i := range equity {
		equity[i] = 10_000 * (1 + 0.001*float64(i) + 0.05*math.Sin(float64(i)/20))
	}
	var e types.Evidence
	require.NoError(t, json.Unmarshal([]byte(`{"verdict":"fragile","because":"slightly higher costs eat it",
		"checks":[{"name":"spa","value":0.01,"limit":0.05,"passed":true,"statement":"p-value 0.010"},{"name":"costs","value":1.2,"limit":2,"passed":false,"statement":"gone at 1.2"},
		{"name":"decay","value":null,"limit":2,"passed":null,"statement":"undefined"}],
		"luck":{"trials":100,"effective_trials":7},"market":{"excess_sharpe":1.25},"next":["more bars"],
		"costs":{"leaders":[{"trial_index":4,"at":[{"times":2,"score":0.5,"return_pct":12,"sharpe":0.5}]}],"break_even":1.2,"break_even_pct":0.24},
		"starts":[{"from":"2020-02-01T00:00:00Z","sharpe":1.5}],"regimes":[{"name":"rising","periods":10,"return_pct":3}],
		"permutation":{"permutations":199,"p_value":0.005,"as_good":0},"undefined":{"paths":"fewer than two trials"}}`), &e))
	return tearsheet.Sheet{
		Kind: "Tune", Title: `<script>alert("x")</script>`, ID: "0198", Evidence: &e, Warnings: []string{"few & far"},
		Facts:   []tearsheet.Fact{{Name: "Side", Value: "both"}},
		Columns: []string{"in sample", "out of sample"}, Figures: tearsheet.Metrics(&types.Metrics{Trades: 12, Sharpe: new(1.5)}, nil),
		Curve:  report.Curve{Bars: bars, Window: backtest.Window{To: bars.Len()}, Calendar: backtest.CalendarExchange, Start: 10_000, Equity: equity},
		Curves: "trial 4", Split: bars.Time[600], Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func render(t *testing.T, s tearsheet.Sheet) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, tearsheet.Render(&out, s))
	return out.String()
}

func TestATearSheetHoldsAllOfIt(t *testing.T) {
	t.Parallel()
	page := render(t, sheet(t))
	for _, want := range []string{
		"fragile", "Superior predictive ability", `<th scope="row">Decay</th>`, "slightly higher costs eat it", "p-value 0.010", `<strong class="bad">failed</strong>`, "undefined", "more bars", "fewer than two trials", "0 of 199",
		"in sample", "out of sample", "Returns by month", "Deepest drawdowns", "buy and hold", "Rolling Sharpe ratio",
		"The excess is gone at 0.24 % a side, 1.20 times", "From later starts", "2020-02-01", "rising", "few &amp; far", "100 that traded, like 7 independent ones", "2026-01-02 03:04 UTC",
	} {
		require.Contains(t, page, want)
	}
	first := time.UnixMicro(sheet(t).Curve.Bars.Time[0]).UTC().Year()
	require.Contains(t, page, fmt.Sprintf(`<th scope="row">%d</th>`, first))
	require.Equal(t, page, render(t, sheet(t)), "the same sheet is the same page")
	s := sheet(t)
	drawn := strings.Count(page, "<svg")
	require.GreaterOrEqual(t, drawn, 3)
	rows := s.Curve.Drawdowns(10)
	require.Equal(t, len(rows), strings.Count(page[strings.Index(page, "Deepest drawdowns"):strings.Index(page, "Costs</h2>")], "<tr><td"))
}

// What a page of a result runs or fetches would run with what its reader may do.
func TestATearSheetRunsAndFetchesNothing(t *testing.T) {
	t.Parallel()
	page := render(t, sheet(t))
	require.NotContains(t, page, "<script")
	require.Contains(t, page, "&lt;script&gt;")
	require.NotRegexp(t, `(?i)\s(on\w+|style|href|src|srcset)=`, page)
	require.NotRegexp(t, `(?i)url\(|@import|https?://`, page)

	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)[1]
	sum := sha256.Sum256([]byte(style))
	require.Contains(t, tearsheet.Policy(), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", "the policy lets the page's own style in")
	require.True(t, strings.HasPrefix(tearsheet.Policy(), "default-src 'none';"))
	require.Contains(t, page, `http-equiv="Content-Security-Policy"`)
	require.Contains(t, page, "@media print")
}

func TestATearSheetWithoutACurveOrAVerdict(t *testing.T) {
	t.Parallel()
	s := sheet(t)
	s.Evidence, s.Curve, s.Figures = nil, report.Curve{}, nil
	page := render(t, s)
	require.Contains(t, page, "There is no curve")
	require.NotContains(t, page, "Verdict")
	require.NotContains(t, page, "<svg")
	require.NotContains(t, page, "NaN")

	s = sheet(t) // shorter than the rolling window
	s.Curve.Equity, s.Curve.Window.To = s.Curve.Equity[:10], 10
	page = render(t, s)
	require.NotContains(t, page, "Sharpe ratio of the last")
	require.NotContains(t, page, "NaN")
}
