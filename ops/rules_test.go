package ops_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/ops/program"
)

// Promtool checks the rules and runs their unit tests.
func TestAlertRulesPassTheirPromtoolTests(t *testing.T) {
	promtool := program.Find(t, "prometheus", "promtool")
	tests, err := filepath.Glob("prometheus/tests/*.test.yml")
	require.NoError(t, err)
	require.Len(t, tests, 14, "one file a subsystem")
	for _, args := range [][]string{
		{"check", "config", "--syntax-only", "prometheus/prometheus.yml"},
		{"check", "rules", "prometheus/alerts.rules.yml"},
		append([]string{"test", "rules"}, tests...),
	} {
		out, err := exec.Command(promtool, args...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
}

// Each alert has what pages need, a section of a runbook, and the three tests.
func TestEveryAlertIsCompleteAndTested(t *testing.T) {
	rules, err := os.ReadFile("prometheus/alerts.rules.yml")
	require.NoError(t, err)
	alerts := strings.Split(string(rules), "- alert: ")[1:]
	require.Len(t, alerts, 48)
	subsystems := map[string]bool{}
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert, "\n")
		labels := regexp.MustCompile(`labels: \{severity: (critical|warning|info), subsystem: (\w+)\}`).FindStringSubmatch(alert)
		require.NotNil(t, labels, name)
		subsystems[labels[2]] = true
		require.Regexp(t, `\n        for: \d+[mh]\n`, alert, name)
		for _, annotation := range []string{"summary", "description"} {
			require.Contains(t, alert, "          "+annotation+": ", name)
		}
		require.Contains(t, alert, "runbook_url: ops/runbooks/"+labels[2]+".md#"+strings.ToLower(name), name)
		requireHeading(t, labels[2]+".md#"+strings.ToLower(name))

		tests, err := os.ReadFile("prometheus/tests/" + labels[2] + ".test.yml")
		require.NoError(t, err)
		for _, kind := range []string{" fires", " does not fire", " at the boundary"} {
			require.Contains(t, string(tests), "'"+name+kind, "a test of its own")
		}
	}
	require.Len(t, subsystems, 14)
}

// requireHeading checks that a runbook has the section that a link points to.
func requireHeading(t *testing.T, link string) {
	t.Helper()
	file, anchor, _ := strings.Cut(link, "#")
	text, err := os.ReadFile(filepath.Join("runbooks", file))
	require.NoError(t, err)
	for line := range strings.SplitSeq(string(text), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok && strings.ToLower(heading) == anchor {
			section := string(text[strings.Index(string(text), line):])
			for _, part := range []string{"**Means.**", "**Confirm.**", "**Do.**"} {
				next := strings.Index(section[3:], "\n## ")
				if next < 0 {
					next = len(section) - 3
				}
				require.Contains(t, section[:next+3], part, link)
			}
			return
		}
	}
	require.Fail(t, "no such heading", link)
}

// What the health page links to exists as well.
func TestEveryComponentHasARunbook(t *testing.T) {
	sources, err := filepath.Glob("health/*.go")
	require.NoError(t, err)
	links := 0
	for _, source := range sources {
		text, err := os.ReadFile(source)
		require.NoError(t, err)
		for _, link := range regexp.MustCompile(`Runbook: "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			requireHeading(t, link[1])
			links++
		}
	}
	require.Equal(t, 12, links)
}
