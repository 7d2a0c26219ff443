package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

const definitionsPage = "/admin/definitions"

// labels are words over a column or in a list that are not the name of a figure.
var labels = []string{"Trial", "State", "Parameters", "Parameter", "Check", "Result", "What it says"}

// Every figure that the page of a tune shows, in its summary, its verdict, its tables and over its charts, leads to a
// definition that exists: on the page as it is rendered.
func TestEveryFigureOfATuneLeadsToItsDefinition(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	const space = `"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":{"low":5,"high":20,"step":5},"slow":[50,100,200]},"oos_ratio":0.3`
	known := definedOn(r.page(definitionsPage))
	require.Greater(t, len(known), 30)
	every := "&col=" + strings.Join([]string{"fast", "slow", "score", "score_is", "score_oos", "overfit_gap", "return_pct_is", "return_pct_oos",
		"max_drawdown_pct_is", "max_drawdown_pct_oos", "trades_is", "trades_oos"}, "&col=")
	seen := map[string]int{}
	for name, test := range map[string]struct {
		body, query string
		least       int
	}{
		"ranked":             {`{` + space + `,"gates":{"max_drawdown_pct":100,"min_trades":1},"evidence":{"permutations":19}}`, every, 45},
		"no trial is ranked": {`{` + space + `,"gates":{"max_drawdown_pct":100,"min_trades":5000}}`, "&status=skipped", 15},
	} {
		submitted := r.do(http.MethodPost, "/backtests/tune", test.body, "X-Idempotency-Key", name)
		require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
		location := submitted.header.Get("Location")
		require.Eventually(t, func() bool {
			return into[struct{ Status string }](t, r.do(http.MethodGet, location, "")).Status == "completed"
		}, 30*time.Second, 20*time.Millisecond)
		page := r.page("/admin" + strings.TrimPrefix(location, "/backtests") + "?workspace_id=" + r.alpha.ID.String() + test.query)
		figures := figuresOn(page)
		require.GreaterOrEqual(t, len(figures), test.least, name)
		for _, f := range figures {
			to := definitionIn(f.node)
			require.NotEmpty(t, to, "%s: the %s %q leads to no definition", name, f.kind, f.label)
			require.Contains(t, known, to, "%s: %q leads to %q, which is not defined", name, f.label, to)
			seen[to]++
		}
	}
	for _, id := range []string{"score", "gap", "return", "drawdown", "trades", "parameter", "heat", "scatter", "equity", "history", "slices", "parallel",
		"importance", "spa", "excess_dsr", "excess", "groups", "costs", "permutation", "power", "dsr", "pbo", "slope", "stability", "completed", "skipped"} {
		require.Positive(t, seen[id], "no figure of the pages leads to %q", id)
	}
}

// page is a page of the console as the admin sees it.
func (r *fixture) page(path string) *html.Node {
	r.t.Helper()
	got := r.do(http.MethodGet, path, "", "Authorization", "", "X-Admin-Token", adminToken)
	require.Equal(r.t, http.StatusOK, got.status, string(got.body))
	root, err := html.Parse(strings.NewReader(string(got.body)))
	require.NoError(r.t, err)
	return root
}

// figure is a place on a page that names one.
type figure struct {
	kind, label string
	node        *html.Node // that has to have the link
}

// figuresOn are the names of figures: of the lists and tables of what was found, and of panels that hold a chart.
func figuresOn(root *html.Node) (all []figure) {
	for node := range root.Descendants() {
		switch {
		case node.Data == "dt" && (within(node, "class", "stats") || within(node, "id", "findings") || within(node, "id", "overfit")),
			node.Data == "th" && (within(node, "id", "findings") || within(node, "id", "explored") || within(node, "id", "trials")):
			label := strings.TrimSpace(textOf(node))
			row := node.Data == "th" && attribute(node, "scope") == "row" && within(node, "id", "explored") // a parameter's name
			if !row && !slices.Contains(labels, label) {
				all = append(all, figure{node.Data, label, node})
			}
		case node.Data == "section" && holdsChart(node):
			for child := range node.ChildNodes() {
				if child.Data == "header" {
					all = append(all, figure{"chart", strings.TrimSpace(textOf(child)), child})
				}
			}
		}
	}
	return all
}

func holdsChart(section *html.Node) bool {
	for node := range section.Descendants() {
		if node.Data == "svg" && attribute(node, "role") == "img" || node.Data == "figure" {
			return true
		}
	}
	return false
}

// definitionIn is the definition that a link in a node leads to; "" without one.
func definitionIn(node *html.Node) string {
	for child := range node.Descendants() {
		if to, ok := strings.CutPrefix(attribute(child, "href"), definitionsPage+"#"); ok && child.Data == "a" {
			return to
		}
	}
	return ""
}

func definedOn(root *html.Node) (ids []string) {
	for node := range root.Descendants() {
		if node.Data == "dt" && attribute(node, "id") != "" {
			ids = append(ids, attribute(node, "id"))
		}
	}
	return ids
}

// within reports whether a node is in one whose attribute has the word.
func within(node *html.Node, name, word string) bool {
	for ; node != nil; node = node.Parent {
		if slices.Contains(strings.Fields(attribute(node, name)), word) {
			return true
		}
	}
	return false
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func textOf(node *html.Node) string {
	var text strings.Builder
	for child := range node.Descendants() {
		if child.Type == html.TextNode {
			text.WriteString(child.Data)
		}
	}
	return text.String()
}
