package console_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store/tenants"
)

// schedule makes a schedule of a small tune and returns its id.
func (s *site) schedule(name string, when map[string]any) string {
	s.t.Helper()
	body := map[string]any{"name": name, "kind": "tune", "request": map[string]any{
		"dataset": "sp500", "strategy_name": "sma_cross", "oos_ratio": 0.3, "gates": map[string]any{"max_drawdown_pct": 99},
		"param_space": map[string]any{"fast": []int{5, 10, 20}, "slow": []int{50, 100}},
	}}
	for member, value := range when {
		body[member] = value
	}
	status, answer := s.do(http.MethodPost, "/schedules", "application/json", bytes.NewReader(must(s.t, body)), "X-Idempotency-Key", name)
	require.Equal(s.t, http.StatusCreated, status, answer)
	var made types.Schedule
	require.NoError(s.t, json.Unmarshal([]byte(answer), &made))
	return made.ScheduleID
}

// sendBars sends bars of sp500 as a file.
func (s *site) sendBars(path string, want int, bars []byte) {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if path == "/datasets" {
		for field, value := range map[string]string{"name": "sp500", "symbol": "SPX", "timeframe": "1d"} {
			require.NoError(s.t, form.WriteField(field, value))
		}
	}
	part, err := form.CreateFormFile("file", "bars.csv")
	require.NoError(s.t, err)
	_, err = part.Write(bars)
	require.NoError(s.t, err)
	require.NoError(s.t, form.Close())
	status, answer := s.do(http.MethodPost, path, form.FormDataContentType(), &body)
	require.Equal(s.t, want, status, answer)
}

// A schedule is run from its page, which follows the run; new bars run it again, and what changed is listed. Its name is
// text, not markup.
func TestAScheduleShowsItsHistoryAndWhatChanged(t *testing.T) {
	const name = `<b>fresh</b> & "co"`
	s := newSite(t).withWorkspace()
	lines := bytes.SplitAfter(ohlcv.Sample(), []byte("\n"))
	s.sendBars("/datasets", http.StatusCreated, bytes.Join(lines[:len(lines)/2], nil))
	id := s.schedule(name, map[string]any{"on_new_bars": "sp500"})
	s.schedule("nightly", map[string]any{"cron": "30 6 * * 1-5", "time_zone": "America/New_York"})
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/schedules")
	require.Contains(t, b.text("#side [aria-current]"), "Schedules")
	require.Contains(t, b.text("#list tbody"), name)
	require.Contains(t, b.text("#list tbody"), "on new bars of sp500")
	require.Contains(t, b.text("#list tbody"), "30 6 * * 1-5 America/New_York")
	require.Contains(t, b.text("main"), "millrace schedules add nightly --request tune.json")
	b.leave(chromedp.Click(chromedp.CSS(`#list a[href="/admin/schedules/`+id+`"]`), chromedp.NodeVisible))
	require.Equal(t, name, b.text("h1"))
	require.Contains(t, b.text("#history"), "It has not run yet")
	b.looksRight("schedule-empty")
	b.live()
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/run"] button`), chromedp.NodeVisible))
	b.until(`document.querySelector("#history .pill.completed")`)
	require.Contains(t, b.text("#history tbody"), "by hand")

	s.sendBars("/datasets/sp500/bars", http.StatusOK, bytes.Join([][]byte{lines[0], bytes.Join(lines[len(lines)/2:], nil)}, nil))
	b.until(`document.querySelectorAll("#history .pill.completed").length === 2`)
	require.Contains(t, b.text("#history tbody tr:first-child"), "new bars")
	require.Regexp(t, `score \S+ → \S+`, b.text("#history tbody tr:first-child td:last-child"))
	require.Contains(t, b.text("#history tbody tr:first-child"), "sp500@2")
	b.looksRight("schedule")
	b.open("/admin/workspaces/" + s.alpha.ID.String() + "/schedules")
	require.Regexp(t, `score \S+ → \S+`, b.text("#list tbody"))
	b.looksRight("schedules")
	b.leave(chromedp.Click(chromedp.CSS(`#list a[href^="/admin/tunes/"]`), chromedp.NodeVisible))
	require.Contains(t, b.text("h1"), "sma_cross")
}

// A member pauses, resumes and deletes a schedule; a viewer sees it without a button.
func TestAScheduleIsPausedResumedAndDeletedByMembersOnly(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	id := s.schedule("nightly", map[string]any{"cron": "@daily"})
	b := s.openBrowser()
	b.logIn()
	at := "/admin/schedules/" + id
	b.open(at)
	require.Contains(t, b.text("#facts"), "active")
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/pause"] button`), chromedp.NodeVisible))
	require.Contains(t, b.text("#facts"), "none while it is paused")
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/resume"] button`), chromedp.NodeVisible))
	require.Contains(t, b.text("#facts"), "active")
	_, err := s.db.OwnerPool(t).Exec(t.Context(), `update schedules set failures = 3 where id = $1`, id)
	require.NoError(t, err)
	b.open("/admin/schedules")
	require.Equal(t, "failing", b.text("#list .pill"))
	require.Contains(t, b.text("#list"), "the last 3 runs failed")
	b.looksRight("schedules-failing")

	notes := s.schedule("notes", map[string]any{"cron": "@weekly", "kind": "ingestion", "request": map[string]any{"url": "https://example.com/notes"}})
	_, err = s.db.OwnerPool(t).Exec(t.Context(), `
		insert into schedule_slots (id, schedule_id, workspace_id, cause, slot_at, first_at, slots, state, reason, entity_id, result, changes, compared_id, ended_at)
		values ('00000000-0000-7000-8000-000000000001', $1, $2, 'cron', now(), now(), 3, 'skipped', 'missed <i>while</i> nothing could run', null, null, null, null, now()),
		       ('00000000-0000-7000-8000-000000000002', $1, $2, 'cron', now() + '1 s', now(), 1, 'completed', null, gen_random_uuid(), '{"outcome": "created", "chunks": 4, "params": null}', '[]', null, now()),
		       ('00000000-0000-7000-8000-000000000003', $1, $2, 'cron', now() + '2 s', now(), 1, 'completed', null, gen_random_uuid(), '{"outcome": "replaced", "chunks": 5, "params": null}',
		        '[{"field": "content", "before": "created", "after": "replaced"}, {"field": "chunks", "before": 4, "after": 5}]', '00000000-0000-7000-8000-000000000002', now())`, notes, s.alpha.ID)
	require.NoError(t, err)
	b.open("/admin/schedules/" + notes)
	require.Contains(t, b.text("#history tbody tr:nth-child(1)"), "chunks 4 → 5")
	require.Equal(t, "–", b.text("#history tbody tr:nth-child(2) td:last-child"), "the first result was compared with nothing")
	require.Contains(t, b.text("#history tbody tr:nth-child(3)"), "missed <i>while</i> nothing could run")
	require.Contains(t, b.text("#history tbody tr:nth-child(3)"), "3 slots")
	require.Equal(t, "/admin/ingestion", eval[string](b, `document.querySelector("#history tbody a").getAttribute("href")`))
	b.looksRight("schedule-ingestion")

	viewer, err := s.store.Tenants.CreateKey(t.Context(), s.alpha.ID, "ada", tenants.RoleViewer)
	require.NoError(t, err)
	v := s.openBrowser()
	v.open("/admin/login")
	v.run(chromedp.SendKeys(chromedp.CSS("#token"), viewer), chromedp.Click(chromedp.CSS("button.primary")), chromedp.WaitReady(chromedp.CSS("#content")))
	v.open(at)
	require.Equal(t, "nightly", v.text("h1"))
	require.Zero(t, eval[int](v, `document.querySelectorAll("main form").length`), "a viewer is offered to change a schedule")
	require.Equal(t, float64(http.StatusForbidden), eval[float64](v, `fetch("`+at+`/delete", {method: "POST"}).then((r) => r.status)`))

	b.open(at)
	eval[int](b, `window.confirm = () => true; 0`)
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/delete"] button`), chromedp.NodeVisible))
	require.NotContains(t, b.text("#list"), "nightly")
	b.open(at)
	require.Contains(t, b.text("main"), "404")
	require.False(t, strings.Contains(b.text("main"), "nightly"))
}
