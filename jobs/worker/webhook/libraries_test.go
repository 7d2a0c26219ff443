package webhook_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/worker/webhook"
	"millrace/store/webhooks"
)

// What a webhook posts is verified by the libraries that the scheme's authors publish for Python and JavaScript: what
// was signed, and nothing else.
func TestTheSchemesLibrariesVerifyWhatIsSent(t *testing.T) {
	type signed struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	f := newFixture(t)
	hook, secret := f.subscribe(webhooks.Settings{})
	f.happen("backtest.tune.completed", "a", 50)
	f.work(webhook.Options{})
	f.eventuallyTakes(50)
	var second string
	_, err := f.store.Webhooks.Rotate(t.Context(), f.submission(), hook.ID, time.Hour, keyring(), keep(new(webhooks.Webhook), &second))
	require.NoError(t, err)
	f.happen("backtest.tune.completed", "\u00e9\u2028<&>", 50)
	f.eventuallyTakes(100)
	first, _ := f.receiver.taken()
	var messages []signed
	for i, g := range first {
		headers := map[string]string{}
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			headers[name] = g.header.Get(name)
		}
		messages = append(messages, signed{secret, headers, g.body})
		if i >= 50 { // both secrets sign while they overlap
			messages = append(messages, signed{second, headers, g.body})
		}
	}
	input, err := json.Marshal(messages)
	require.NoError(t, err)
	clients, err := filepath.Abs(filepath.Join("..", "..", "..", "api"))
	require.NoError(t, err)
	for _, with := range []struct {
		name, needs, folder, advice string
		command                     []string
	}{
		{"Python", filepath.Join(clients, "python", ".venv", "bin", "python"), "python", ".ci/python",
			[]string{filepath.Join(clients, "python", ".venv", "bin", "python"), filepath.Join("tests", "verify_webhooks.py")}},
		{"JavaScript", filepath.Join(clients, "typescript", ".npm", "node_modules", "standardwebhooks"), filepath.Join("typescript", ".npm"), ".ci/typescript",
			[]string{"node", "--input-type=module", "--eval", read(t, filepath.Join(clients, "typescript", "verify.mjs"))}},
	} {
		t.Run(with.name, func(t *testing.T) {
			if _, err := os.Stat(with.needs); err != nil {
				if os.Getenv("MILLRACE_REQUIRE") != "" {
					t.Fatalf("the library is not there: run %s", with.advice)
				}
				t.Skipf("the library is not there: run %s", with.advice)
			}
			cmd := exec.Command(with.command[0], with.command[1:]...)
			cmd.Dir, cmd.Stdin = filepath.Join(clients, with.folder), bytes.NewReader(input)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.JSONEq(t, `{"valid": 150, "forged": 0}`, string(out))
		})
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
