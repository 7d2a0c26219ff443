package console_test

import (
	"net/http"
	"path"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/store/tenants"
)

// made fills the form of a new webhook and returns the id of what it makes.
func (b *browser) made(address, description string) string {
	b.t.Helper()
	b.open("/admin/webhooks")
	b.leave(
		chromedp.SetValue(chromedp.CSS(`[name="url"]`), address), chromedp.SendKeys(chromedp.CSS(`[name="description"]`), description),
		chromedp.SetValue(chromedp.CSS(`[name="types"]`), "backtest.tune.*, backtest.wfo.completed"), chromedp.Click(chromedp.CSS(`[name="topic"][value="backtests"]`)),
		chromedp.Click(chromedp.CSS(`form[action="/admin/webhooks"] button.primary`), chromedp.NodeVisible),
	)
	return path.Base(path.Dir(eval[string](b, `document.querySelector('form[action$="/test"]')?.getAttribute("action") ?? ""`)))
}

// signIn signs a person in with a new key of alpha.
func (s *site) signIn(b *browser, role tenants.Role) {
	s.t.Helper()
	key, err := s.store.Tenants.CreateKey(s.t.Context(), s.alpha.ID, "ada as "+string(role), role)
	require.NoError(s.t, err)
	b.open("/admin/login")
	b.run(chromedp.SendKeys(chromedp.CSS("#token"), key), chromedp.Click(chromedp.CSS("button.primary")), chromedp.WaitReady(chromedp.CSS("#content")))
}

// An admin of the workspace makes a webhook, sees its secret once, rotates it, and pauses, resumes and deletes the webhook.
func TestAnAdminOfTheWorkspaceKeepsWebhooks(t *testing.T) {
	s := newSite(t).withWorkspace()
	b := s.openBrowser()
	s.signIn(b, tenants.RoleAdmin)
	b.open("/admin/webhooks")
	require.Contains(t, b.text("#side [aria-current]"), "Webhooks")
	require.Contains(t, b.text("#list"), "No webhooks yet")
	b.made("https://10.0.0.1/hooks", "Inside")
	require.Contains(t, b.text("[role=alert]:not(#stream-note)"), "not on the public internet")
	require.Equal(t, "https://10.0.0.1/hooks", eval[string](b, `document.querySelector('[name="url"]').value`), "what was typed is kept")
	require.True(t, eval[bool](b, `document.querySelector('[name="topic"][value="backtests"]').checked`))
	b.looksRight("webhooks-refused")

	id := b.made("https://1.1.1.1/hooks", "Winners "+scripted)
	first := b.text("#secret")
	require.Regexp(t, `^whsec_.{20}`, first)
	require.Equal(t, "Winners "+scripted, b.text("h1"))
	require.Contains(t, b.text("#facts"), "backtest.wfo.completed")
	require.Contains(t, b.text("#deliveries"), "Nothing was sent yet")
	b.looksRight("webhook-made")
	b.open("/admin/webhooks/" + id)
	require.Empty(t, b.text("#secret"), "the secret is shown twice")

	eval[int](b, `window.confirm = () => true; 0`)
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/rotate"] button`), chromedp.NodeVisible))
	require.Regexp(t, `^whsec_.{20}`, b.text("#secret"))
	require.NotEqual(t, first, b.text("#secret"))
	require.Contains(t, b.text("[aria-labelledby=h-secret]"), "Two secrets sign until")
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/pause"] button`), chromedp.NodeVisible))
	require.Equal(t, "paused", b.text("#facts .pill"))
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/resume"] button`), chromedp.NodeVisible))
	require.Equal(t, "active", b.text("#facts .pill"))
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/test"] button`), chromedp.NodeVisible))
	require.Contains(t, b.text("#deliveries tbody"), "webhook.test")
	require.Equal(t, "pending", b.text("#deliveries .pill"))
	eval[int](b, `window.confirm = () => true; 0`)
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/delete"] button`), chromedp.NodeVisible))
	require.Contains(t, b.text("#list"), "No webhooks yet")
	b.open("/admin/webhooks/" + id)
	require.Contains(t, b.text("main"), "404")

	member := s.openBrowser()
	s.signIn(member, tenants.RoleMember)
	require.NotContains(t, member.text("#side"), "Webhooks")
	require.Equal(t, float64(http.StatusForbidden), eval[float64](member, `fetch("/admin/webhooks").then((r) => r.status)`))
}

// A webhook that fails says since when and why; its dead deliveries are found and sent again.
func TestDeadDeliveriesAreSentAgainFromThePage(t *testing.T) {
	s := newSite(t).withWorkspace()
	b := s.openBrowser()
	b.logIn()
	id := b.made("https://1.1.1.1/hooks", "")
	owner := s.db.OwnerPool(t)
	for _, statement := range []string{
		`update webhooks set attempts = 7, failing_since = '2026-01-05T10:00:00Z', retry_at = now() + interval '1 hour', last_status = 500,
		        last_error = 'the receiver answered 500 <b>Internal</b>', last_delivered_at = now() - interval '1 day', delivered = 1234 where id = $1`,
		`insert into webhook_deliveries (webhook_id, workspace_id, message_id, kind, topic, type, entity_id, event_at, state, attempts, status, error, took_ms, attempted_at)
		 select $1, workspace_id, m, 'event', 'backtests', t, 'e', '2026-01-05T09:59:00Z', d.state, n, d.status, d.error, 31, now() from webhooks,
		        (values ('evt_a', 'backtest.tune.completed', 'delivered', 1, 200, null), ('evt_b', 'backtest.tune.failed', 'retrying', 7, 500, 'the receiver answered 500'),
		                ('evt_c', 'backtest.tune.started', 'failed', 3, null, 'no answer within 10 s')) d (m, t, state, n, status, error) where id = $1`,
	} {
		_, err := owner.Exec(t.Context(), statement, id)
		require.NoError(t, err)
	}
	b.open("/admin/webhooks")
	require.Equal(t, "failing", b.text("#list .pill"))
	require.Contains(t, b.text("#list"), "failing since 2026-01-05 10:00")
	require.Contains(t, b.text("#list"), "1.1.1.1")
	b.looksRight("webhooks")
	b.leave(chromedp.Click(chromedp.CSS(`#list a[href="/admin/webhooks/`+id+`"]`), chromedp.NodeVisible))
	require.Contains(t, b.text("#facts"), "<b>Internal</b>")
	require.Equal(t, 3, eval[int](b, `document.querySelectorAll("#deliveries tbody tr").length`))
	b.looksRight("webhook")
	b.open("/admin/webhooks/" + id + "?state=failed")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#deliveries tbody tr").length`))
	require.Contains(t, b.text("#deliveries"), "no answer within 10 s")
	b.leave(chromedp.Click(chromedp.CSS(`#deliveries form button`), chromedp.NodeVisible))
	b.open("/admin/webhooks/" + id + "?state=pending")
	require.Contains(t, b.text("#deliveries tbody"), "backtest.tune.started")
	var jobs int
	require.NoError(t, owner.QueryRow(t.Context(), `select count(*) from river_job where args ->> 'message_id' = 'evt_c'`).Scan(&jobs))
	require.Equal(t, 1, jobs)
	b.open("/admin/webhooks/" + id)
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/resume"] button`), chromedp.NodeVisible))
	require.Equal(t, "active", b.text("#facts .pill"), "it is tried at once")
	_, err := owner.Exec(t.Context(), `update webhooks set state = 'dead' where id = $1`, id)
	require.NoError(t, err)
	b.until(`document.querySelector("#facts .pill").textContent === "dead"`)
}
