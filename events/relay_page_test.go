package events

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

// follower is a process of the fleet: its feed, which is not started, a session that it reads the log by, and a subscriber.
type follower struct {
	t       *testing.T
	feed    *Feed
	session *eventlog.Session
	sub     *Subscription
	got     []string
}

func newFollower(t *testing.T, pool *pgxpool.Pool) *follower {
	t.Helper()
	f := &follower{t: t, feed: NewFeed(Options{Store: stores.New(pool, nil), Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler)})}
	var err error
	f.session, err = f.feed.store.EventLog.OpenSession(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { f.session.Close(context.Background()) })
	require.NoError(t, f.feed.place(t.Context(), f.session))
	f.sub = f.feed.hub.Subscribe(eventlog.Scope{}, nil)
	t.Cleanup(f.sub.Close)
	return f
}

// take takes what waits for the subscriber.
func (f *follower) take() []string {
	f.t.Helper()
	messages, err := f.sub.Take(f.t.Context())
	require.NoError(f.t, err)
	for _, m := range messages {
		f.got = append(f.got, m.EntityID)
	}
	return f.got
}

// begin reads and publishes so many events, as the process's listener has when it is itself in the middle of a page.
func (f *follower) begin(n int) {
	f.t.Helper()
	events, _, err := f.session.Events(f.t.Context(), f.feed.hub.place(), n)
	require.NoError(f.t, err)
	f.feed.publish(events)
	f.take()
}

// listen does what the process's listener does at a hint, or when it looks by itself.
func (f *follower) listen() {
	f.t.Helper()
	f.take()
	require.NoError(f.t, f.feed.catchUp(f.t.Context(), f.session))
	f.take()
}

// relaySession is a relay's session from which listeners get their hints at once.
type relaySession struct {
	*eventlog.Session
	hinted func(upTo eventlog.Cursor)
}

func (s *relaySession) Notify(ctx context.Context, upTo eventlog.Cursor) error {
	if err := s.Session.Notify(ctx, upTo); err != nil {
		return err
	}
	s.hinted(upTo)
	return nil
}

// Listeners, that of the relay's own process among them, read on while the relay is in the middle of what it has read: they
// then have events that it publishes after them, and more are written meanwhile. Each event comes once and in order, and
// each hint names a place beyond the one before it.
func TestHintsInTheMiddleOfAPageLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	const rows, each = 5, 200 // rows of jobs that changed together: one look reads them, and publishes their events page by page
	db := pgtest.New(t)
	owner := db.OwnerPool(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var logged []string
	jobsChange := func(rows, each int) {
		_, err := owner.Exec(t.Context(), `
			insert into event_log (topic, type, job_ids)
			select 'jobs', 'test', array(select $1::int + (r - 1) * $3::int + n from generate_series(1, $3::int) n) from generate_series(1, $2::int) r`,
			len(logged), rows, each)
		require.NoError(t, err)
		for range rows * each {
			logged = append(logged, fmt.Sprint(len(logged)+1))
		}
	}
	own, other := newFollower(t, pool), newFollower(t, pool)
	own.feed.hintLate = -1 // each hint is late: there is one in the middle of a page
	session, err := own.feed.store.EventLog.OpenSession(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { session.Close(context.Background()) })
	var hints []eventlog.Cursor
	relay := &relaySession{Session: session, hinted: func(upTo eventlog.Cursor) {
		hints = append(hints, upTo)
		switch len(hints) {
		case 1:
			require.Len(t, own.take(), publishPage, "the hint comes in the middle of what was read, and of a row")
			jobsChange(2, 3)
			own.begin(100)
		case 2:
			require.Len(t, own.take(), rows*each, "the relay's process has the rest of the page without a look of its own")
			own.listen()
		}
		if other.feed.hub.place().Before(upTo) {
			other.listen()
		}
	}}
	at := own.feed.hub.place()
	jobsChange(rows, each)
	for found := 1; found > 0; {
		found, err = own.feed.pass(t.Context(), relay, &at)
		require.NoError(t, err)
		own.take()
	}

	for name, f := range map[string]*follower{"the relay's process": own, "another process": other} {
		require.Equal(t, logged, f.got, name)
		require.EqualValues(t, len(logged), testutil.ToFloat64(f.feed.metrics.SSEEventsPublished.WithLabelValues("jobs")), name)
	}
	for i := range hints[1:] {
		require.True(t, hints[i].Before(hints[i+1]), fmt.Sprint(hints))
	}
	require.Equal(t, at, hints[len(hints)-1])
}
