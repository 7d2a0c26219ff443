package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/api/types"
	"millrace/store/tenants"
	"millrace/store/webhooks"
)

const someWebhook = `{"url":"https://1.1.1.1/hook?token=not-for-logs","topics":["backtests"],"types":["backtest.tune.*"],"entity_id":"e","label":"l","description":"d"}`

func TestAWebhookIsMadeChangedAndItsSecretShownOnce(t *testing.T) {
	r := newFixture(t)
	made := into[types.NewWebhook](t, r.do(http.MethodPost, "/webhooks", someWebhook))
	require.True(t, strings.HasPrefix(made.Secret, "whsec_"))
	require.Equal(t, types.WebhookState("active"), made.State)
	path := "/webhooks/" + made.WebhookID
	for _, shown := range []string{string(r.do(http.MethodGet, path, "").body), string(r.do(http.MethodGet, "/webhooks", "").body)} {
		require.Contains(t, shown, made.WebhookID)
		require.NotContains(t, shown, "whsec_")
	}
	paused := into[types.Webhook](t, r.do(http.MethodPatch, path, `{"state":"paused","types":[],"description":""}`))
	require.Equal(t, types.WebhookState("paused"), paused.State)
	require.Empty(t, paused.Types)
	require.Equal(t, []string{"backtests"}, paused.Topics, "what is left out stays")
	rotated := into[types.NewWebhook](t, r.do(http.MethodPost, path+"/rotate", `{"overlap_seconds":60}`))
	require.NotEqual(t, made.Secret, rotated.Secret)
	require.NotNil(t, rotated.OldSecretUntil)
	require.Nil(t, into[types.NewWebhook](t, r.do(http.MethodPost, path+"/rotate", `{"overlap_seconds":0}`)).OldSecretUntil)
	sent := into[types.Delivery](t, r.do(http.MethodPost, path+"/test", ""))
	require.Equal(t, types.DeliveryState("pending"), sent.State)
	again := r.do(http.MethodPost, path+"/deliveries/"+sent.DeliveryID+"/redeliver", "")
	require.Equal(t, http.StatusAccepted, again.status, string(again.body))
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, path+"/deliveries/none/redeliver", "").status)
	require.Len(t, into[types.List[types.Delivery]](t, r.do(http.MethodGet, path+"/deliveries", "")).Items, 1)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/audit", "").status) // what was done is in audit_log
	for _, secret := range []string{made.Secret, rotated.Secret} {
		raw := strings.TrimPrefix(secret, "whsec_")
		require.Zero(t, r.count(fmt.Sprintf(`select count(*) from audit_log where position('%s' in entry) > 0`, raw)), "a secret is in the audit log")
		require.Zero(t, r.count(fmt.Sprintf(`select count(*) from idempotency_keys where position('%s' in encode(body, 'escape')) > 0`, raw)))
		require.Zero(t, r.count(fmt.Sprintf(`select count(*) from event_log where position('%s' in payload::text) > 0`, raw)))
	}
	require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, path, "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "").status)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/audit", "").status)
	require.Equal(t, 1, r.count(`select count(*) from audit_log where entry::jsonb ->> 'route' = 'POST /webhooks' and entry like '%`+made.WebhookID+`%'`))
}

// What cannot be posted to, or is none of ours, is refused before it is stored, with the field named.
func TestWebhooksThatAreRefused(t *testing.T) {
	r := newFixture(t)
	for body, field := range map[string]string{
		`{"url":""}`:                                                 "url",
		`{"url":"ftp://1.1.1.1/"}`:                                   "url",
		`{"url":"https://user:secret@1.1.1.1/"}`:                     "url",
		`{"url":"http://127.0.0.1/"}`:                                "url",
		`{"url":"http://[::1]/"}`:                                    "url",
		`{"url":"http://[::ffff:10.0.0.1]/"}`:                        "url",
		`{"url":"http://169.254.169.254/latest/meta-data/"}`:         "url",
		`{"url":"http://2130706433/"}`:                               "url",
		`{"url":"http://1.1.1.1:22/"}`:                               "url",
		`{"url":"http://1.1.1.1/` + strings.Repeat("x", 1000) + `"}`: "url",
		`{"url":"https://1.1.1.1/","topics":["trades"]}`:             "topics[0]",
		`{"url":"https://1.1.1.1/","types":["*"]}`:                   "types[0]",
		`{"url":"https://1.1.1.1/","types":["a.*.b"]}`:               "types[0]",
		`{"url":"https://1.1.1.1/","description":"a\nb"}`:            "description",
	} {
		a := r.do(http.MethodPost, "/webhooks", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		require.Contains(t, string(a.body), `"`+field+`"`, body)
		require.NotContains(t, string(a.body), "secret")
	}
	made := into[types.NewWebhook](t, r.do(http.MethodPost, "/webhooks", someWebhook))
	for _, body := range []string{`{"state":"dead"}`, `{"url":"http://10.0.0.1/"}`, `{"types":["A b"]}`} {
		require.Equal(t, http.StatusUnprocessableEntity, r.do(http.MethodPatch, "/webhooks/"+made.WebhookID, body).status, body)
	}
	require.Equal(t, http.StatusUnprocessableEntity, r.do(http.MethodPost, "/webhooks/"+made.WebhookID+"/rotate", `{"overlap_seconds":-1}`).status)
	for range webhooks.MostOfWorkspace - 1 {
		require.Equal(t, http.StatusCreated, r.do(http.MethodPost, "/webhooks", someWebhook).status)
	}
	full := r.do(http.MethodPost, "/webhooks", someWebhook)
	require.Equal(t, http.StatusConflict, full.status)
	require.Contains(t, string(full.body), "20 webhooks")
	member := r.newKey(r.alpha, tenants.RoleMember)
	require.Equal(t, http.StatusForbidden, r.do(http.MethodGet, "/webhooks", "", "Authorization", "Bearer "+member).status)
}

func TestAServerWithoutAKeyHasNoWebhooks(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Webhooks.Keys = webhooks.Keyring{} })
	a := r.do(http.MethodPost, "/webhooks", someWebhook)
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Contains(t, string(a.body), "WEBHOOK_KEY")
}
