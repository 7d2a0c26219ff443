package manifest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
)

// stating has a bundle state a result in which a part has other bytes.
func stating(t *testing.T, part string, change func(t *testing.T, body []byte) []byte) *manifest.Bundle {
	t.Helper()
	b := made(t)
	b.Parts[part] = change(t, b.Parts[part])
	b.Manifest.Result.Parts[part] = manifest.Sum(b.Parts[part])
	return b
}

// entries is a change of a list in JSON.
func entries(change func([]json.RawMessage) []json.RawMessage) func(*testing.T, []byte) []byte {
	return func(t *testing.T, body []byte) []byte {
		var list []json.RawMessage
		require.NoError(t, json.Unmarshal(body, &list))
		body, err := json.Marshal(change(list))
		require.NoError(t, err)
		return body
	}
}

// Whatever moved is named by its place, and where nothing of what the result was made of differs, no cause is.
func TestADifferenceNamesTheFirstFigureThatMoved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		b    *manifest.Bundle
		part string
		says string
	}{
		"an entry less": {stating(t, "ranking", entries(func(l []json.RawMessage) []json.RawMessage { return l[:len(l)-1] })), "ranking", "sma_cross: ranking had "},
		"a figure of an entry": {stating(t, "leaderboard", entries(func(l []json.RawMessage) []json.RawMessage {
			l[1] = json.RawMessage(`{"rank":2}`)
			return l
		})), "leaderboard", "sma_cross: leaderboard[1].metrics_is was <nil> and is "},
		"other spaces":       {stating(t, "regime", func(_ *testing.T, body []byte) []byte { return append(body, ' ') }), "regime", "sma_cross: regime is written differently"},
		"something not JSON": {stating(t, "regime", func(*testing.T, []byte) []byte { return []byte("{") }), "regime", "sma_cross: regime has other bytes"},
		"fewer trials":       {stating(t, "trials", func(*testing.T, []byte) []byte { return fewerTrials(t) }), "trials", "sma_cross: there were 59 trials, now there are 60"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := c.b.Reproduce(t.Context(), program, unbound, 2)
			require.NoError(t, err)
			require.False(t, report.Same)
			require.Equal(t, []string{c.part}, report.Differs)
			require.Contains(t, report.First, c.says)
			require.Empty(t, report.Causes)
		})
	}
}

// fewerTrials are those of a tune of one trial less.
func fewerTrials(t *testing.T) []byte {
	t.Helper()
	b := made(t)
	var spec sweep.Spec
	require.NoError(t, json.Unmarshal(b.Spec, &spec))
	table, err := sweep.ReadTable(spec.ParamNames(), b.Parts["trials"])
	require.NoError(t, err)
	require.Equal(t, 60, table.Len())
	bars, err := b.Bars(0)
	require.NoError(t, err)
	spec.NTrials = new(59)
	plan, faults := sweep.NewPlan(spec, bars, 252)
	require.Empty(t, faults)
	_, fewer, err := plan.RunWhole(t.Context(), 1)
	require.NoError(t, err)
	return fewer.Bytes()
}

// A part that is made and was not stated is a difference, too.
func TestAPartThatTheManifestDoesNotStateIsADifference(t *testing.T) {
	t.Parallel()
	b := made(t)
	delete(b.Manifest.Result.Parts, "regime")
	report, err := b.Reproduce(t.Context(), program, unbound, 2)
	require.NoError(t, err)
	require.False(t, report.Same)
}

func TestAFileIsHeldToItsManifest(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*manifest.Bundle){
		"the manifest has the hash":               func(b *manifest.Bundle) { b.Manifest.ID = "two" },
		"part outcome of the result has other":    func(b *manifest.Bundle) { b.Parts["outcome"] = []byte("{}") },
		"script cross has another source than":    func(b *manifest.Bundle) { b.Script = "other" },
		"the manifest names no dataset":           func(b *manifest.Bundle) { b.Manifest.Datasets, b.Data = nil, nil },
		"there are 0 datasets of the 1 that":      func(b *manifest.Bundle) { b.Data = nil },
		"dataset sample has the bars":             func(b *manifest.Bundle) { b.Manifest.Datasets[0].SHA256 = manifest.Sum(nil) },
		"part regime of the result has other byt": func(b *manifest.Bundle) { delete(b.Parts, "regime") },
	} {
		b := made(t)
		b.Script, b.Manifest.Script = "source", &sweep.Script{Name: "cross", SHA256: manifest.Sum([]byte("source"))}
		seal := func() {
			body, err := b.Manifest.Canonical()
			require.NoError(t, err)
			b.Sum = manifest.Sum(body)
		}
		seal()
		require.NoError(t, b.Check())
		change(b)
		if b.Manifest.ID == "one" {
			seal()
		}
		require.ErrorContains(t, b.Check(), says)
	}
}
