package webhook_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/worker/webhook"
	"millrace/store/webhooks"
)

// A receiver that never answers costs its webhook ten seconds an attempt, and no other webhook anything: however many of
// them there are, they hold half of the slots.
func TestReceiversThatHangDelayNoOther(t *testing.T) {
	f := newFixture(t)
	released := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(released) }))
	var mu sync.Mutex
	hanging, most := 0, 0
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		hanging += by
		most = max(most, hanging)
	}
	f.receiver.answer(func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path != "/hang" {
			return false
		}
		count(1)
		defer count(-1)
		select {
		case <-released:
		case <-r.Context().Done():
		}
		return true
	})
	f.subscribe(webhooks.Settings{})
	f.work(webhook.Options{FirstPause: time.Hour})
	f.happen("backtest.tune.completed", "a", 1)
	f.eventuallyTakes(1) // it is known to be quick
	var slow []uuid.UUID
	for range 6 { // more than the slots there are
		hook, _ := f.subscribe(webhooks.Settings{URL: f.receiver.server.URL + "/hang"})
		slow = append(slow, hook.ID)
	}
	f.happen("backtest.tune.completed", "b", 5)
	f.eventuallyTakes(6)
	f.happen("backtest.tune.completed", "c", 5)
	f.eventuallyTakes(11)
	f.eventually(func() bool {
		return slices.ContainsFunc(slow, func(id uuid.UUID) bool { return f.hook(id).LastError != nil })
	}, "a receiver that hangs is waited for without end")
	for _, id := range slow {
		if reason := f.hook(id).LastError; reason != nil {
			require.Equal(t, "the receiver did not answer within 10 s", *reason)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 2, most, "receivers that hang hold more than half of the four slots")
}

// A receiver that was quick and becomes slow has one message of its page in the slot of a quick one.
func TestAReceiverThatBecomesSlowLeavesItsSlot(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.happen("backtest.tune.completed", "a", 1)
	stop := f.work(webhook.Options{})
	f.eventuallyTakes(1)
	stop()
	f.happen("backtest.tune.completed", "b", 3)
	f.work(webhook.Options{SlowAfter: time.Nanosecond}) // each message takes longer
	f.eventuallyTakes(4)
	f.eventually(func() bool { return f.hook(hook.ID).Delivered == 4 }, "what was accepted is not recorded")
	var jobs int
	require.NoError(t, f.owner.QueryRow(t.Context(), `select count(*) from river_job where kind = 'webhook.deliver'`).Scan(&jobs))
	require.GreaterOrEqual(t, jobs, 3, "the job of a quick receiver continues when it becomes slow")
	var quick bool
	require.NoError(t, f.owner.QueryRow(t.Context(), `select quick from webhooks where id = $1`, hook.ID).Scan(&quick))
	require.False(t, quick)
}

func TestASecretThatNoKeyOpensWaits(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	other, err := webhooks.NewKeyring("another key than that")
	require.NoError(t, err)
	f.happen("backtest.tune.completed", "a", 1)
	stop := f.work(webhook.Options{Keys: other})
	f.eventually(func() bool { return f.hook(hook.ID).LastError != nil }, "no failure is recorded")
	require.Contains(t, *f.hook(hook.ID).LastError, "WEBHOOK_KEY")
	stop()
	both, err := webhooks.NewKeyring("another key than that", "a key that only tests have")
	require.NoError(t, err)
	f.work(webhook.Options{Keys: both})
	f.eventuallyTakes(1)
}

func TestAWorkspaceHasABoundedNumberOfWebhooks(t *testing.T) {
	f := newFixture(t)
	for range webhooks.MostOfWorkspace {
		f.subscribe(webhooks.Settings{})
	}
	_, err := f.store.Webhooks.Create(t.Context(), f.submission(), webhooks.Settings{URL: "https://example.com"}, keyring(), keep(new(webhooks.Webhook), new(string)))
	require.ErrorIs(t, err, webhooks.ErrFull)
}

// The head of an answer accepts; a body that does not end is not waited for.
func TestABodyWithoutEndDelaysNothing(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.receiver.answer(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	})
	f.work(webhook.Options{})
	f.happen("backtest.tune.completed", "a", 10)
	f.eventually(func() bool { return f.hook(hook.ID).Delivered == 10 }, "bodies are read to their end")
}

// A receiver that is slow does not keep a slot for a whole page: the webhook leaves it when its share is over.
func TestAWebhookLeavesItsSlotWithinAPage(t *testing.T) {
	f := newFixture(t)
	f.subscribe(webhooks.Settings{})
	f.happen("backtest.tune.completed", "a", 350)
	f.work(webhook.Options{Share: time.Nanosecond})
	f.eventuallyTakes(350)
	require.Equal(t, f.logged("backtests"), f.receiver.entities())
	var jobs int
	require.NoError(t, f.owner.QueryRow(t.Context(), `select count(*) from river_job where kind = 'webhook.deliver'`).Scan(&jobs))
	require.GreaterOrEqual(t, jobs, 3, "one job delivers the whole page")
}

// Jobs that change together share a row of the log: a webhook that leaves its slot within one is due for the rest of it.
func TestAWebhookThatLeavesItsSlotWithinARowOfTheLogContinuesThere(t *testing.T) {
	f := newFixture(t)
	f.subscribe(webhooks.Settings{Topics: []string{"jobs"}})
	_, err := f.owner.Exec(t.Context(), `
		insert into river_job (kind, args, queue, max_attempts, priority, state)
		select 'tune.shard', jsonb_build_object('workspace_id', $1::uuid), 'elsewhere', 1, 1, 'available' from generate_series(1, 150)`, f.space.ID)
	require.NoError(t, err)
	f.work(webhook.Options{Share: time.Nanosecond})
	f.eventuallyTakes(150)
	require.Len(t, f.receiver.entities(), 150)
}

// What its owner changes while a page is delivered holds for the rest of the page.
func TestAChangeHoldsForTheRestOfThePage(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.happen("backtest.tune.completed", "a", 350)
	f.happen("backtest.tune.failed", "b", 50)
	var changed sync.Once
	var mu sync.Mutex
	paths := map[string]int{}
	var changeErr, rotateErr error
	var secret string
	f.receiver.answer(func(_ http.ResponseWriter, r *http.Request, nth int) bool {
		mu.Lock()
		paths[r.URL.Path]++
		mu.Unlock()
		if nth == 50 {
			changed.Do(func() {
				_, changeErr = f.store.Webhooks.Change(t.Context(), f.space.ID, hook.ID, func(w *webhooks.Webhook) error {
					w.URL, w.Types = f.receiver.server.URL+"/other", []string{"backtest.tune.completed"}
					return nil
				})
				_, rotateErr = f.store.Webhooks.Rotate(t.Context(), f.submission(), hook.ID, 0, keyring(), keep(new(webhooks.Webhook), &secret))
			})
		}
		return false
	})
	f.work(webhook.Options{})
	f.eventuallyTakes(350)
	require.NoError(t, changeErr)
	require.NoError(t, rotateErr)
	f.eventually(func() bool { return f.hook(hook.ID).Delivered == 350 }, "what is not wanted any more is delivered")
	first, _ := f.receiver.taken()
	require.Len(t, first, 350)
	require.Zero(t, first[349].valid, "a secret that was replaced at once still signs")
	mu.Lock()
	defer mu.Unlock()
	require.LessOrEqual(t, paths["/hook"], 100, "the rest of the page goes to the address of before")
	require.GreaterOrEqual(t, paths["/other"], 250)
}

func TestTheLastStatusIsThatOfTheLastFailure(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.receiver.answer(func(w http.ResponseWriter, _ *http.Request, nth int) bool {
		if nth == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		panic(http.ErrAbortHandler)
	})
	f.work(webhook.Options{})
	f.happen("backtest.tune.completed", "a", 1)
	f.eventually(func() bool {
		now := f.hook(hook.ID)
		return now.LastError != nil && *now.LastError == "the receiver could not be reached" && now.LastStatus == nil
	}, "the status of an answer stands beside an error without one")
}

// Days in which no key opened the secret are ours: the receiver has its three days from its first failure on.
func TestDaysWithoutTheKeyDoNotCountAgainstTheReceiver(t *testing.T) {
	f := newFixture(t)
	hook, _ := f.subscribe(webhooks.Settings{})
	f.happen("backtest.tune.completed", "a", 1)
	_, err := f.owner.Exec(t.Context(), `update webhooks set attempts = 1, failing_since = now() - interval '100 hours', last_error = $1`, webhooks.ErrSealed.Error())
	require.NoError(t, err)
	f.receiver.answer(func(w http.ResponseWriter, _ *http.Request, nth int) bool {
		if nth < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return nth < 3
	})
	f.work(webhook.Options{})
	f.eventuallyTakes(1)
	require.Equal(t, webhooks.Active, f.hook(hook.ID).State)
}
