package console

import (
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// The request that a trial is copied as says what the trial ran with, whatever its names contain.
func TestSnippetsCarryTheTrialsRequest(t *testing.T) {
	t.Parallel()
	stored := &StoredTune{Spec: sweep.Spec{
		StrategyName: "pine:it's@1", Side: backtest.SideLong, IntrabarPolicy: "worst", Seed: new(uint64(7)), Account: sweep.AccountSpec{Cash: new(5000.0)},
		Stops: &backtest.Stops{},
	}}
	body, err := runBody(stored, `bars'; rm -rf "/"`, map[string]float64{"Fast Length": 5, `a "quoted" name`: 0.1})
	require.NoError(t, err)
	curl, python, err := snippets(body)
	require.NoError(t, err)
	require.Contains(t, curl, "$MILLRACE_API_KEY")
	require.Contains(t, python, `"cash": 5000`)
	for name, command := range map[string][]string{
		"shell":  {"bash", "-c", `curl() { while [ "$1" != -d ]; do shift; done; printf %s "$2"; }; ` + curl},
		"python": {"python3", "-c", "import os, sys, json, urllib.request\nos.environ.update(MILLRACE_URL='http://x', MILLRACE_API_KEY='k')\nclass A:\n    def __enter__(self): return self\n    def __exit__(self, *a): pass\n    def read(self): return b'{\"run_id\": \"r\", \"metrics\": {\"sharpe\": 1, \"return_pct\": 2}}'\ndef say(request):\n    print(request.data.decode()); sys.stdout.flush(); os._exit(0)\nurllib.request.urlopen = say\n" + python},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("%s is not here", command[0])
			continue
		}
		out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		var sent, want map[string]any
		require.NoError(t, json.Unmarshal(out, &sent), "%s: %s", name, out)
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &want))
		require.Equal(t, want, sent, name)
	}
}
