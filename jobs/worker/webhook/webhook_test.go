package webhook_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/jobs/worker/webhook"
	"millrace/ops/publicnet"
	"millrace/store"
	"millrace/store/webhooks"
)

// A worker that is killed had sent what it did not record, so some messages come twice. None is missing, and
// without repeats they are in the order of the log, whatever the receiver fails at and however many write.
func TestNothingIsLostAndOrderIsKeptWhenWorkersAreKilled(t *testing.T) {
	f := newFixture(t)
	each := 500 // events of a writer
	if text := os.Getenv("MILLRACE_WEBHOOK_EVENTS"); text != "" {
		all, err := strconv.Atoi(text)
		require.NoError(t, err)
		each = all / 4
	}
	f.subscribe(webhooks.Settings{Topics: []string{"backtests"}})
	f.receiver.answer(func(w http.ResponseWriter, _ *http.Request, nth int) bool {
		if nth%97 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	var writers errgroup.Group
	for n := range 4 {
		writers.Go(func() error {
			for k := 0; k < each; k += 10 {
				if _, err := f.owner.Exec(t.Context(), addEvents, f.space.ID, "backtest.tune.progress", fmt.Sprintf("%d/%d", n, k), 10); err != nil {
					return err
				}
			}
			return nil
		})
	}
	all := 4 * each
	for kills := range 3 {
		kill := f.process()
		f.eventuallyTakes((kills + 1) * all / 4)
		kill()
	}
	f.work(webhook.Options{})
	f.eventuallyTakes(all)
	require.NoError(t, writers.Wait())
	require.Equal(t, f.logged("backtests"), f.receiver.entities(), "messages were lost or out of order")
	first, requests := f.receiver.taken()
	for _, g := range first {
		require.Equal(t, 1, g.valid, "message %s has no valid signature", g.id)
	}
	t.Logf("%d events, %d requests", all, requests)
}

func (f *fixture) eventuallyTakes(n int) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		return f.receiver.count() >= n
	}, 5*time.Minute, 10*time.Millisecond, "%d messages", n)
}

// Two runs of one job, as when a worker freezes and its successor begins: the first may send, but moves nothing.
func TestAnAttemptThatLostItsJobMovesNothing(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.happen("backtest.tune.progress", "a", 3)
	inserted, err := f.store.Webhooks.Dispatch(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, inserted)
	again, err := f.store.Webhooks.Dispatch(t.Context())
	require.NoError(t, err)
	require.Zero(t, again, "a second job for a webhook that has a live one")
	var job int64
	require.NoError(t, f.owner.QueryRow(t.Context(), `
		update river_job set state = 'running', attempt = 2, attempted_at = now(), attempted_by = '{x}' where kind = 'webhook.deliver' returning id`).Scan(&job))
	run, err := f.store.Webhooks.Begin(t.Context(), hook.ID, keyring())
	require.NoError(t, err)
	moved := run.Place
	moved.ID += 1 << 20
	progress := webhooks.Progress{Place: moved, Accepted: []webhooks.Attempt{{Message: webhooks.Message{MessageID: "m", Kind: webhooks.OfEvent, Type: "t"}, OK: true}}}
	_, _, err = f.store.Webhooks.Commit(t.Context(), store.Lease{Workspace: f.space.ID, JobID: job, Attempt: 1}, run, progress)
	require.ErrorIs(t, err, store.ErrFenced)
	now, err := f.store.Webhooks.Begin(t.Context(), hook.ID, keyring())
	require.NoError(t, err)
	require.Equal(t, run.Place, now.Place, "an attempt without the job moved the webhook's place")
	_, _, err = f.store.Webhooks.Commit(t.Context(), store.Lease{Workspace: f.space.ID, JobID: job, Attempt: 2}, run, progress)
	require.NoError(t, err)
}

func TestAMessageIsWhatTheStreamShowsAndSaysWhoSentIt(t *testing.T) {
	f := newFixture(t)
	f.subscribe(webhooks.Settings{})
	f.work(webhook.Options{})
	f.happen("backtest.tune.completed", "tune", 1)
	f.eventuallyTakes(1)
	first, _ := f.receiver.taken()
	var message struct {
		Type      string
		Timestamp time.Time
		Data      struct {
			Cursor, Topic, Type string
			WorkspaceID         string `json:"workspace_id"`
			EntityID            string `json:"entity_id"`
			Payload             map[string]int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(first[0].body), &message))
	require.Equal(t, "backtest.tune.completed", message.Type)
	require.False(t, message.Timestamp.IsZero())
	require.Equal(t, "tune/1", message.Data.EntityID)
	require.Equal(t, f.space.ID.String(), message.Data.WorkspaceID)
	require.Equal(t, map[string]int{"n": 1}, message.Data.Payload)
	require.Equal(t, "evt_"+message.Data.Cursor, first[0].id)
	require.Equal(t, "application/json", first[0].header.Get("Content-Type"))
	require.Equal(t, 1, first[0].valid)
}

// Of what the workspace writes a webhook gets what it subscribes to, and nothing of another workspace's or of
// the jobs that deliver.
func TestOnlyWhatWasSubscribedToIsSent(t *testing.T) {
	f := newFixture(t)
	other, err := f.store.Tenants.CreateWorkspace(t.Context(), "beta", 2)
	require.NoError(t, err)
	f.subscribe(webhooks.Settings{Topics: []string{"backtests"}, Types: []string{"backtest.tune.*", "backtest.run.completed"}})
	f.work(webhook.Options{})
	f.happen("backtest.wfo.completed", "not", 600)
	_, err = f.owner.Exec(t.Context(), addEvents, other.ID, "backtest.tune.completed", "foreign", 3)
	require.NoError(t, err)
	f.happen("backtest.tune.completed", "a", 1)
	f.happen("backtest.run.completed", "b", 1)
	f.happen("backtest.run.completed.not", "c", 1)
	f.happen("backtest.tune.completed", "d", 1)
	f.eventuallyTakes(3)
	require.Equal(t, []string{"a/1", "b/1", "d/1"}, f.receiver.entities())
}

// What is not delivered blocks what comes after it, is tried again after growing pauses, and after the time is
// up the webhook is dead until somebody resumes it: then it continues where it was.
func TestAFailingReceiverIsRetriedThenDeadAndResumes(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.receiver.answer(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	f.work(webhook.Options{DeadAfter: 500 * time.Millisecond})
	f.happen("backtest.tune.completed", "a", 3)
	f.eventually(func() bool { return f.hook(hook.ID).State == webhooks.Dead }, "the webhook of a failing receiver is not dead")
	dead := f.hook(hook.ID)
	require.Greater(t, dead.Attempts, 2)
	require.Equal(t, "the receiver answered 500 Internal Server Error", *dead.LastError)
	deliveries, err := f.store.Webhooks.Deliveries(t.Context(), f.space.ID, hook.ID, "", 0, 10)
	require.NoError(t, err)
	require.Len(t, deliveries, 1, "only the first message is tried")
	require.Equal(t, "retrying", deliveries[0].State)
	require.Equal(t, dead.Attempts, deliveries[0].Attempts)
	f.receiver.answer(nil)
	_, err = f.store.Webhooks.Change(t.Context(), f.space.ID, hook.ID, func(w *webhooks.Webhook) error { w.State = webhooks.Active; return nil })
	require.NoError(t, err)
	f.eventuallyTakes(3)
	require.Equal(t, []string{"a/1", "a/2", "a/3"}, f.receiver.entities())
	require.Zero(t, f.hook(hook.ID).Attempts)
}

func TestAReceiverThatIsGoneDisablesTheWebhook(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.receiver.answer(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusGone)
		return true
	})
	f.work(webhook.Options{})
	f.happen("backtest.tune.completed", "a", 1)
	f.eventually(func() bool { return f.hook(hook.ID).State == webhooks.StateGone }, "a webhook whose receiver is gone is not disabled")
	_, requests := f.receiver.taken()
	require.Equal(t, 1, requests)
}

func TestRetryAfterIsHonouredAndBounded(t *testing.T) {
	for given, want := range map[string]time.Duration{"120": 2 * time.Minute, "99999999": time.Hour, "-5": 0, "soon": 0} {
		t.Run(given, func(t *testing.T) {
			f := newFixture(t)
			hook, _ := f.subscribe(webhooks.Settings{})
			f.receiver.answer(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("Retry-After", given)
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			})
			f.work(webhook.Options{FirstPause: time.Minute, MostPause: time.Minute})
			before := time.Now()
			f.happen("backtest.tune.completed", "a", 1)
			f.eventually(func() bool { return f.hook(hook.ID).RetryAt != nil }, "no retry is due")
			pause := f.hook(hook.ID).RetryAt.Sub(before)
			require.Greater(t, pause, max(want, 48*time.Second)-time.Second)
			require.Less(t, pause, max(want, 72*time.Second)+patience)
		})
	}
}

// A redirect is not followed, wherever it leads.
func TestRedirectsAreNotFollowed(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.receiver.answer(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == "/hook" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	f.work(webhook.Options{FirstPause: time.Hour})
	f.happen("backtest.tune.completed", "a", 1)
	f.eventually(func() bool { return f.hook(hook.ID).LastError != nil }, "a redirect is not a failure")
	require.Contains(t, *f.hook(hook.ID).LastError, "redirects are not followed")
	first, requests := f.receiver.taken()
	require.Empty(t, first)
	require.Equal(t, 1, requests)
}

// The address is checked when it is dialled, so nothing arrives at one that is not public, also when the webhook
// was stored before it resolved there.
func TestNothingIsSentToAddressesThatAreNotPublic(t *testing.T) {
	f := newFixture(t)
	port := strconv.Itoa(int(f.receiver.port()))
	var hooks []webhooks.Webhook
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "2130706433"} {
		hook, _ := f.subscribe(webhooks.Settings{URL: "http://" + net.JoinHostPort(trimmed(host), port) + "/token-in-path"})
		hooks = append(hooks, hook)
	}
	f.work(webhook.Options{FirstPause: time.Hour, Guard: publicnet.New(publicnet.Options{AllowPorts: []uint16{f.receiver.port()}})})
	f.happen("backtest.tune.completed", "a", 1)
	for _, hook := range hooks {
		f.eventually(func() bool { return f.hook(hook.ID).LastError != nil }, "no attempt at "+hook.URL)
		failed := f.hook(hook.ID)
		require.NotContains(t, *failed.LastError, "token-in-path")
		require.Nil(t, failed.LastStatus, "%s answered", hook.URL)
	}
	_, requests := f.receiver.taken()
	require.Zero(t, requests)
}

func trimmed(host string) string {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.String()
	}
	if n := len(host); host[0] == '[' {
		return host[1 : n-1]
	}
	return host
}

// Both secrets sign while they overlap, and the new one alone afterwards.
func TestOldAndNewSecretSignWhileTheyOverlap(t *testing.T) {
	f := newFixture(t)
	hook, old := f.subscribe(webhooks.Settings{})
	var secret string
	_, err := f.store.Webhooks.Rotate(t.Context(), f.submission(), hook.ID, time.Hour, keyring(), keep(&hook, &secret))
	require.NoError(t, err)
	require.NotEqual(t, old, secret)
	f.receiver.trust(secret)
	f.work(webhook.Options{})
	f.happen("backtest.tune.completed", "a", 1)
	f.eventuallyTakes(1)
	_, err = f.owner.Exec(t.Context(), `update webhooks set old_until = clock_timestamp() - interval '1 second'`)
	require.NoError(t, err)
	f.happen("backtest.tune.completed", "b", 1)
	f.eventuallyTakes(2)
	first, _ := f.receiver.taken()
	require.Equal(t, 2, first[0].valid, "both secrets sign")
	require.Equal(t, 1, first[1].valid, "the old secret signs after its time")
	var leaked int
	require.NoError(t, f.owner.QueryRow(t.Context(), `select count(*) from webhooks where position(convert_to($1, 'UTF8') in secret) > 0 or secret = decode($2, 'base64')`,
		secret, secret[len(webhooks.SecretPrefix):]).Scan(&leaked))
	require.Zero(t, leaked, "a secret is stored as it is")
}

// A log that was pruned past the webhook's place, or is another one, is said and not passed over in silence.
func TestLostEventsAreSaid(t *testing.T) {
	for what, sql := range map[string]string{
		"pruned":   `update event_epoch set floor_xid = pg_current_xact_id()`,
		"replaced": `update event_epoch set id = gen_random_uuid()`,
	} {
		t.Run(what, func(t *testing.T) {
			f := newFixture(t)
			f.subscribe(webhooks.Settings{Types: []string{"backtest.tune.completed"}})
			f.happen("backtest.tune.completed", "lost", 1)
			_, err := f.owner.Exec(t.Context(), sql)
			require.NoError(t, err)
			f.work(webhook.Options{})
			f.eventuallyTakes(1)
			f.happen("backtest.tune.completed", "after", 1)
			f.eventuallyTakes(2)
			first, _ := f.receiver.taken()
			require.Contains(t, first[0].body, `"type":"webhook.reset"`)
			require.Contains(t, first[1].body, "after/1")
			require.Len(t, first, 2)
		})
	}
}

// The job that delivers writes events too; they are nobody's, or each delivery would be followed by another.
func TestDeliveringMakesNoEventsToDeliver(t *testing.T) {
	f := newFixture(t)
	f.subscribe(webhooks.Settings{})
	f.work(webhook.Options{})
	f.happen("backtest.tune.completed", "a", 1)
	f.eventuallyTakes(1)
	var mine int
	require.NoError(t, f.owner.QueryRow(t.Context(), `select count(*) from event_log where workspace_id = $1 and topic = 'jobs'`, f.space.ID).Scan(&mine))
	require.Zero(t, mine)
}

// A test and a redelivery are sent beside the webhook's own course, with the id of the message.
func TestMessagesAreSentAgainOnRequest(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{Topics: []string{"backtests"}})
	f.work(webhook.Options{})
	f.happen("backtest.tune.completed", "a", 1)
	f.eventuallyTakes(1)
	first, _ := f.receiver.taken()
	var sent webhooks.Delivery
	f.eventually(func() bool {
		var err error
		sent, err = f.store.Webhooks.Delivery(t.Context(), f.space.ID, hook.ID, first[0].id)
		return err == nil && sent.State == "delivered"
	}, "the delivery is not recorded")
	render := func(webhooks.Delivery) ([]byte, error) { return []byte("{}"), nil }
	sub := store.Submission{Workspace: f.space.ID, Route: "POST /again", Key: "1"}
	_, err := f.store.Webhooks.Redeliver(t.Context(), sub, hook.ID, first[0].id, render)
	require.NoError(t, err)
	sub.Key = "2"
	_, err = f.store.Webhooks.SendTest(t.Context(), sub, hook.ID, render)
	require.NoError(t, err)
	f.eventually(func() bool {
		again, err := f.store.Webhooks.Delivery(t.Context(), f.space.ID, hook.ID, first[0].id)
		_, requests := f.receiver.taken()
		return err == nil && again.State == "delivered" && again.Attempts == 2 && requests >= 3
	}, "the message is not sent again")
	all, _ := f.receiver.taken()
	require.Len(t, all, 2, "the message sent again has another id")
	require.Contains(t, all[1].body, `"type":"webhook.test"`)
}
