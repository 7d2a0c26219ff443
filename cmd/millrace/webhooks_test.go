package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/store/tenants"
)

const listenSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestWebhookVerbs(t *testing.T) {
	v := newVerbs(t)
	space, err := v.store.Tenants.CreateWorkspace(t.Context(), "hooked", 2)
	require.NoError(t, err)
	key, err := v.store.Tenants.CreateKey(t.Context(), space.ID, "test", tenants.RoleAdmin)
	require.NoError(t, err)
	t.Setenv("MILLRACE_API_KEY", key)
	secret := v.ok("webhooks", "add", "https://1.1.1.1/hooks", "--types", "backtest.tune.completed,wfo.run.*", "--description", "winners")
	require.True(t, strings.HasPrefix(secret, "whsec_"), secret)
	var listed []types.Webhook
	require.NoError(t, json.Unmarshal([]byte(v.ok("webhooks", "list", "-o", "json")), &listed))
	require.Len(t, listed, 1)
	id := listed[0].WebhookID
	require.Equal(t, []string{"backtest.tune.completed", "wfo.run.*"}, listed[0].Types)
	require.Contains(t, v.ok("webhooks", "list"), "active")
	require.Contains(t, v.ok("webhooks", "pause", id), "paused")
	require.Contains(t, v.ok("webhooks", "resume", id), "active")
	require.NotEqual(t, secret, v.ok("webhooks", "rotate", id, "--overlap", "1h"))
	require.Contains(t, v.ok("webhooks", "show", id), "winners")
	delivery := strings.Fields(v.ok("webhooks", "test", id))[1]
	require.Contains(t, v.ok("webhooks", "deliveries", id, "--state", "pending"), delivery)
	require.Contains(t, v.ok("webhooks", "redeliver", id, delivery), "pending")
	status, _, errs := v.run("webhooks", "add", "http://127.0.0.1/")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "public internet")
	v.ok("webhooks", "rm", id)
	status, _, _ = v.run("webhooks", "show", id)
	require.Equal(t, 1, status)

	// listen posts what the stream shows, signed.
	taken := make(chan error, 1)
	hook, err := standardwebhooks.NewWebhook(listenSecret)
	require.NoError(t, err)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = hook.Verify(body, r.Header)
		}
		select {
		case taken <- err:
		default:
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"listen", "--forward", receiver.URL, "--secret", listenSecret, "--env-file", v.file}, &bytes.Buffer{}, &bytes.Buffer{})
	}()
	owner := v.db.OwnerPool(t)
	require.Eventually(t, func() bool {
		_, err := owner.Exec(t.Context(), `insert into event_log (workspace_id, topic, type, entity_id) values ($1, 'backtests', 'test', 'e')`, space.ID)
		require.NoError(t, err)
		select {
		case err := <-taken:
			require.NoError(t, err)
			return true
		default:
			return false
		}
	}, 30*time.Second, 100*time.Millisecond, "nothing is forwarded")
	stop()
	require.Zero(t, <-ended)
}
