package events_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"millrace/events"
	"millrace/ops"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds a wait. The log of one database waits for open transactions of all others on the
// server, so a wait does not measure speed.
const soon = 30 * time.Second

// fixture is a database with an event log, on which feeds run as processes of a fleet run them.
type fixture struct {
	t     *testing.T
	db    *pgtest.DB
	owner *pgxpool.Pool
	space uuid.UUID
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	db := pgtest.New(t)
	f := &fixture{t: t, db: db, owner: db.OwnerPool(t), space: uuid.New()}
	f.exec(`insert into workspaces (id, name) values ($1, 'research')`, f.space)
	return f
}

// feed starts a feed of its own process; Stop is called at the end in any case.
func (f *fixture) feed() (*events.Feed, *stores.Set) {
	f.t.Helper()
	pool, err := store.OpenPool(f.t.Context(), store.PoolOptions{DatabaseURL: f.db.URL, MaxConns: 4})
	require.NoError(f.t, err)
	f.t.Cleanup(pool.Close)
	st := stores.New(pool, nil)
	feed := events.NewFeed(events.Options{Store: st, Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(f.t, feed.Start(f.t.Context()))
	f.t.Cleanup(func() { require.NoError(f.t, feed.Stop(context.Background())) })
	return feed, st
}

func (f *fixture) mine(topics ...string) eventlog.Scope {
	return eventlog.Scope{Workspace: uuid.NullUUID{UUID: f.space, Valid: true}, Topics: topics}
}

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.owner.Exec(f.t.Context(), sql, args...)
	require.NoError(f.t, err)
}

const insertEvent = `insert into event_log (workspace_id, topic, type, entity_id) values ($1, $2, 'test', $3)`

// append writes events in a transaction each.
func (f *fixture) append(topic string, names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.exec(insertEvent, f.space, topic, name)
	}
}

// logged is what the log holds of the workspace, in order.
func (f *fixture) logged() []string {
	f.t.Helper()
	rows, err := f.owner.Query(f.t.Context(), `select entity_id from event_log where workspace_id = $1 order by xid, id`, f.space)
	require.NoError(f.t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(f.t, err)
	return names
}

// take takes from a subscription until it has the number of events asked for.
func take(t *testing.T, sub *events.Subscription, n int) []string {
	t.Helper()
	var got []string
	deadline := time.After(soon)
	for len(got) < n {
		select {
		case <-sub.Ready():
		case <-deadline:
			require.FailNow(t, "events did not come", "%d of %d", len(got), n)
		}
		messages, err := sub.Take(t.Context())
		require.NoError(t, err)
		for _, m := range messages {
			got = append(got, m.EntityID)
		}
	}
	return got
}

// ended takes until the subscription ends, and returns why.
func ended(t *testing.T, sub *events.Subscription) (got []string, why error) {
	t.Helper()
	deadline := time.After(soon)
	for {
		select {
		case <-sub.Ready():
		case <-deadline:
			require.FailNow(t, "the subscription did not end")
		}
		messages, err := sub.Take(t.Context())
		if err != nil {
			return got, err
		}
		for _, m := range messages {
			got = append(got, m.EntityID)
		}
	}
}

// Ids are given before transactions commit, so events become visible out of the order of their
// ids: a reader that goes by id alone loses those of slow transactions.
func TestConcurrentWritersLoseNoEvent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, _ := f.feed()
	live := feed.Hub().Subscribe(f.mine(), nil)
	defer live.Close()
	const writers, each = 16, 40
	var work errgroup.Group
	for w := range writers {
		work.Go(func() error {
			conn, err := pgx.Connect(t.Context(), f.db.OwnerURL)
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close(context.Background()) }()
			for i := range each {
				err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
					if _, err := tx.Exec(t.Context(), insertEvent, f.space, "backtests", fmt.Sprint(w, "/", i)); err != nil {
						return err
					}
					_, err := tx.Exec(t.Context(), `select pg_sleep(random() * 0.004)`)
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	got := take(t, live, writers*each)
	require.NoError(t, work.Wait())
	require.Equal(t, f.logged(), got)
}

func TestJobStateChangesAreEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, _ := f.feed()
	sub := feed.Hub().Subscribe(f.mine("jobs"), nil)
	defer sub.Close()
	f.exec(`insert into river_job (kind, args, queue, max_attempts, state)
		select 'test', jsonb_build_object('workspace_id', $1::text), 'q', 3, 'available' from generate_series(1, 2)`, f.space)
	f.exec(`update river_job set state = 'running', attempt = 1`)
	f.exec(`update river_job set metadata = '{"a": 1}'`) // no change of state
	f.exec(`update river_job set state = 'completed', finalized_at = now()`)
	var seen []string
	for len(seen) < 6 {
		<-sub.Ready()
		messages, err := sub.Take(t.Context())
		require.NoError(t, err)
		for _, m := range messages {
			seen = append(seen, m.Type+string(m.Payload))
		}
	}
	for i, want := range []string{
		`job.available{"kind": "test", "queue": "q", "attempt": 0}`,
		`job.running{"from": "available", "kind": "test", "queue": "q", "attempt": 1}`,
		`job.completed{"from": "running", "kind": "test", "queue": "q", "attempt": 1}`,
	} {
		require.Equal(t, []string{want, want}, seen[2*i:2*i+2])
	}
}

// kill ends server sessions of the test's database by a condition, and returns how many.
func (f *fixture) kill(condition string) int {
	f.t.Helper()
	var n int
	require.NoError(f.t, f.owner.QueryRow(f.t.Context(), `
		select count(pg_terminate_backend(pid)) from pg_stat_activity
		 where datname = current_database() and pid <> pg_backend_pid() and `+condition).Scan(&n))
	return n
}

const holdsRelayLock = `pid in (select pid from pg_locks where locktype = 'advisory' and objid = 1835625580 and granted)`

func TestAnotherRelayReplacesAKilledOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.feed()
	f.feed()
	var first int
	relay := func() bool {
		var pid int
		err := f.owner.QueryRow(t.Context(), `select pid from pg_stat_activity where datname = current_database() and `+holdsRelayLock).Scan(&pid)
		found := err == nil && pid != first
		if found {
			first = pid
		}
		return found
	}
	require.Eventually(t, relay, soon, 10*time.Millisecond)
	listener, err := pgx.Connect(t.Context(), f.db.URL)
	require.NoError(t, err)
	defer func() { _ = listener.Close(context.Background()) }()
	_, err = listener.Exec(t.Context(), `listen millrace_events`)
	require.NoError(t, err)
	require.Equal(t, 1, f.kill(holdsRelayLock))
	require.Eventually(t, relay, soon, 10*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	// The first may be in the hint that a new relay begins with; the second is one it looked for.
	for _, entity := range []string{"first", "second"} {
		f.append("backtests", entity)
		var at eventlog.Cursor
		require.NoError(t, f.owner.QueryRow(ctx, `select xid, id from event_log where entity_id = $1`, entity).Scan(&at.XID, &at.ID))
		for hinted := (eventlog.Cursor{}); hinted.Before(at); {
			hint, err := listener.WaitForNotification(ctx)
			require.NoError(t, err, "no hint of the %s event", entity)
			hinted, err = eventlog.ParseCursor(hint.Payload)
			require.NoError(t, err)
		}
	}
}

// Each commit notifies a relay that sleeps, after the one before it has reached the disk. So the first one wakes it, also
// when an open transaction keeps what was committed from being read.
func TestARelayWakesAtAnEventThatCannotBeReadYet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.feed()
	asleep := func() (yes bool) {
		require.NoError(t, f.owner.QueryRow(t.Context(), `
			select exists (select from pg_locks where locktype = 'advisory' and objid = 1835625581 and mode = 'ExclusiveLock' and granted
			                  and database = (select oid from pg_database where datname = current_database()))`).Scan(&yes))
		return yes
	}
	require.Eventually(t, asleep, soon, 10*time.Millisecond)
	open, err := f.owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = open.Rollback(context.Background()) }()
	_, err = open.Exec(t.Context(), insertEvent, f.space, "backtests", "open")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		f.append("backtests", "held up")
		return !asleep()
	}, soon, 5*time.Millisecond)
}

// Every session of the feed is ended again and again while events are written, as a restarting
// server or a failing network does.
func TestLostListenerReconnectsAndCatchesUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, _ := f.feed()
	f.feed()
	sub := feed.Hub().Subscribe(f.mine(), nil)
	defer sub.Close()
	var want []string
	for round := range 4 {
		for i := range 50 {
			want = append(want, fmt.Sprint(round, "/", i))
		}
		f.append("backtests", want[len(want)-50:len(want)-25]...)
		require.Eventually(t, func() bool {
			return f.kill(`usename <> current_user and (query like '%event%' or query like 'listen%' or query like '%snapshot%')`) > 0
		}, soon, time.Millisecond)
		f.append("backtests", want[len(want)-25:]...)
	}
	require.Equal(t, want, take(t, sub, len(want)))
}

func TestReplacedLogResetsItsSubscribers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, _ := f.feed()
	sub := feed.Hub().Subscribe(f.mine(), nil)
	defer sub.Close()
	f.append("backtests", "before")
	take(t, sub, 1)
	at := sub.Last()
	f.exec(`update event_epoch set id = gen_random_uuid()`)
	_, why := ended(t, sub)
	require.ErrorIs(t, why, events.ErrReset)
	old := feed.Hub().Subscribe(f.mine(), &at)
	defer old.Close()
	_, why = ended(t, old)
	require.ErrorIs(t, why, eventlog.ErrCursorGone)
	fresh := feed.Hub().Subscribe(f.mine(), nil)
	defer fresh.Close()
	f.append("backtests", "after")
	require.Equal(t, []string{"after"}, take(t, fresh, 1))
}

// A subscriber that has seen everything continues when old days are dropped, even if its
// last event was in one of them; one that resumes from before them gets an error.
func TestPruningResetsOnlySubscribersThatMissedEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, _ := f.feed()
	sub := feed.Hub().Subscribe(f.mine(), nil)
	defer sub.Close()
	f.append("backtests", "one", "two")
	take(t, sub, 2)
	at := sub.Last()
	// The relay delivers as well. A listener that first connects after a prune cannot know what it missed, and resets.
	require.Eventually(t, func() bool { return feed.Status().ListenerDown == 0 }, soon, 10*time.Millisecond)
	f.exec(`delete from event_log`)
	f.exec(`update event_epoch set floor_xid = pg_current_xact_id()`)
	require.Eventually(t, func() bool { return at.Before(sub.Advance()) }, soon, 10*time.Millisecond)
	f.append("backtests", "three")
	require.Equal(t, []string{"three"}, take(t, sub, 1))
	back := feed.Hub().Subscribe(f.mine(), &at)
	defer back.Close()
	_, why := ended(t, back)
	require.ErrorIs(t, why, eventlog.ErrCursorGone)
}

func TestFeedStartsOnceAndStopsTwice(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, st := f.feed()
	require.Error(t, feed.Start(t.Context()))
	sub := feed.Hub().Subscribe(f.mine(), nil)
	require.NoError(t, feed.Stop(t.Context()))
	require.NoError(t, feed.Stop(t.Context()))
	_, why := ended(t, sub)
	require.ErrorIs(t, why, events.ErrClosed)
	sub.Close()
	sub.Close()
	late := feed.Hub().Subscribe(f.mine(), nil)
	_, why = ended(t, late)
	require.ErrorIs(t, why, events.ErrClosed)
	require.NoError(t, events.NewFeed(events.Options{Store: st, Metrics: ops.NewMetrics(), Logger: slog.Default()}).Stop(t.Context()))
}

func TestStatusReportsWhichPartIsDown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, _ := f.feed()
	well := func() bool {
		s := feed.Status()
		return s.ListenerDown == 0 && s.RelayDown == 0
	}
	require.Eventually(t, well, soon, 10*time.Millisecond)
	var subs []*events.Subscription
	for range 3 {
		subs = append(subs, feed.Hub().Subscribe(f.mine(), nil))
	}
	require.Equal(t, 3, feed.Status().Subscribers)
	for _, sub := range subs {
		sub.Close()
	}
	require.Zero(t, feed.Status().Subscribers)

	// New sessions are refused, and open ones end.
	var once sync.Once
	open := func() { f.exec(`alter database ` + f.name() + ` connection limit -1`) }
	defer once.Do(open)
	f.exec(`alter database ` + f.name() + ` connection limit 0`)
	require.Eventually(t, func() bool {
		f.kill(`usename <> current_user`)
		s := feed.Status()
		return s.ListenerDown > time.Second && s.RelayDown > time.Second
	}, soon, 50*time.Millisecond)
	once.Do(open)
	require.Eventually(t, well, soon, 10*time.Millisecond)
}

func (f *fixture) name() string {
	cfg, err := pgx.ParseConfig(f.db.OwnerURL)
	require.NoError(f.t, err)
	return pgx.Identifier{cfg.Database}.Sanitize()
}
