package console

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/sweep/evidence"
)

// Every figure of a tune's page, in its summary, its verdict and its evidence of overfitting, leads to a definition
// that exists.
func TestEveryFigureOfATuneLeadsToItsDefinition(t *testing.T) {
	t.Parallel()
	var defined []string
	for _, d := range definitions() {
		require.NotContains(t, defined, d.ID, "defined twice")
		require.NotEmpty(t, d.Text, d.ID)
		defined = append(defined, d.ID)
	}
	link := regexp.MustCompile(`^<a href="/admin/definitions#([a-z_]+)">`)
	figure := regexp.MustCompile(`<dt>(.*?)</dt>`)
	seen := 0
	for file, lists := range map[string]string{
		"templates/page_tune.html": `(?s)<dl class="stats">(.*?)</dl>|id="overfit" data-live>.*?<dl class="facts">(.*?)</dl>`,
		"templates/parts.html":     `(?s)define "verdict".*?<dl class="facts">(.*?)</dl>`,
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, list := range regexp.MustCompile(lists).FindAllString(string(text), -1) {
			for _, f := range figure.FindAllStringSubmatch(list, -1) {
				to := link.FindStringSubmatch(f[1])
				require.NotNil(t, to, "%s: the figure %q leads to no definition", file, f[1])
				require.True(t, slices.Contains(defined, to[1]), "%s: %q leads to %q, which is not defined", file, f[1], to[1])
				seen++
			}
		}
	}
	require.GreaterOrEqual(t, seen, 18, "figures of the page")

	// The verdict's checks are written by their names.
	good := evidence.Findings{Periods: 100, OutPeriods: 50, PeriodsPerYear: 252, PValue: 0.01, DSR: 0.99, SR: 0.1, OutOfSample: 0.1, Stability: 1, BreakEven: 5, Permuted: 0.01}
	checks := append(evidence.Judge(good).Checks, evidence.JudgeStitched(evidence.Stitched{Findings: good}).Checks...)
	require.Len(t, checks, 11)
	for _, c := range checks {
		require.Contains(t, defined, checkID(c.Name))
		require.NotEmpty(t, checkName(types.EvidenceCheck{Name: c.Name}), "a result of an older engine has no titles")
	}
}
