package eventlog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/pgtest"
)

// promptly is far above what an event takes to become readable, and far below what a test waits for.
const promptly = 5 * time.Second

const addEvent = `insert into event_log (workspace_id, topic, type, entity_id) values ($1, 'jobs', 'test', $2)`

// logFixture is a database with a log, and a session that reads it as a listener does.
type logFixture struct {
	t       *testing.T
	db      *pgtest.DB
	store   *eventlog.Store
	session *eventlog.Session
	at      eventlog.Cursor
	space   uuid.UUID
}

func newLogFixture(t *testing.T) *logFixture {
	t.Helper()
	l := &logFixture{t: t, db: pgtest.New(t), space: uuid.New()}
	l.store = eventlog.New(store.New(l.db.Pool(t), nil))
	var err error
	l.session, err = l.store.OpenSession(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { l.session.Close(context.Background()) })
	bounds, _, err := l.session.Bounds(t.Context())
	require.NoError(t, err)
	l.at, _, err = l.session.Newest(t.Context(), bounds.Floor)
	require.NoError(t, err)
	return l
}

// read returns the entities of the events that have become readable since the last call.
func (l *logFixture) read() (entities []string) {
	l.t.Helper()
	for more := true; more; {
		var events []eventlog.Event
		var err error
		events, more, err = l.session.Events(l.t.Context(), l.at, 50)
		require.NoError(l.t, err)
		for _, e := range events {
			require.True(l.t, l.at.Before(e.Cursor))
			l.at = e.Cursor
			entities = append(entities, e.EntityID)
		}
	}
	return entities
}

// connect opens a session of the superuser, to this test's database unless another is named.
func (l *logFixture) connect(database string) *pgx.Conn {
	l.t.Helper()
	cfg, err := pgx.ParseConfig(l.db.OwnerURL)
	require.NoError(l.t, err)
	if database != "" {
		cfg.Database = database
	}
	conn, err := pgx.ConnectConfig(l.t.Context(), cfg)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, sql string, args ...any) pgconn.CommandTag {
	t.Helper()
	tag, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	return tag
}

// eventWriter is one session that writes numbered events, in transactions of every shape.
type eventWriter struct {
	l    *logFixture
	conn *pgx.Conn
	name string
	rng  *rand.Rand
	next int
}

func (w *eventWriter) exec(sql string, args ...any) error {
	_, err := w.conn.Exec(w.l.t.Context(), sql, args...)
	return err
}

func (w *eventWriter) event() error {
	w.next++
	return w.exec(addEvent, w.l.space, fmt.Sprintf("%s/%d", w.name, w.next))
}

func (w *eventWriter) pause() error { return w.exec(`select pg_sleep($1)`, w.rng.Float64()*0.003) }

// transaction writes one to three events. Some transactions have an id long before their first event,
// some write it after a savepoint was rolled back, some are prepared and committed later.
func (w *eventWriter) transaction() error {
	steps := []func() error{func() error { return w.exec(`begin`) }}
	add := func(sql string) { steps = append(steps, func() error { return w.exec(sql) }) }
	if w.rng.IntN(2) == 0 {
		add(`select pg_current_xact_id()`)
		steps = append(steps, func() error { return w.exec(`select pg_sleep($1)`, 0.03*w.rng.Float64()*w.rng.Float64()) })
	}
	if w.rng.IntN(3) == 0 {
		add(`savepoint s`)
		steps = append(steps, func() error { return w.exec(addEvent, w.l.space, "rolled back") })
		add(`rollback to s`)
		steps = append(steps, w.pause)
	}
	for range 1 + w.rng.IntN(3) {
		steps = append(steps, w.event, w.pause)
	}
	if gid := fmt.Sprintf("%s %d", w.l.space, w.rng.Uint64()); w.rng.IntN(4) == 0 {
		add(`prepare transaction '` + gid + `'`)
		steps = append(steps, w.pause)
		add(`commit prepared '` + gid + `'`)
	} else {
		add(`commit`)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// The bound is made of locks, so this is what it promises: whatever the writers do, and whatever
// else runs on the server, a reader sees every event once, each writer's in the order of its commits,
// and all in the order in which the log is read again later.
func TestReadersLoseNothingToWritersOfAnyKind(t *testing.T) {
	l := newLogFixture(t)
	elsewhere := l.connect("postgres")
	mustExec(t, elsewhere, `begin; select pg_current_xact_id()`)
	const writers, each = 20, 40
	var work errgroup.Group
	for n := range writers {
		w := &eventWriter{l: l, conn: l.connect(""), name: fmt.Sprint(n), rng: rand.New(rand.NewPCG(uint64(n), 1))}
		work.Go(func() error {
			for range each {
				if err := w.transaction(); err != nil {
					return err
				}
			}
			return w.exec(addEvent, l.space, w.name+"/end")
		})
	}
	done := make(chan error, 1)
	go func() { done <- work.Wait() }()
	var seen []string
	ends := 0
	deadline := time.After(2 * time.Minute)
	for ends < writers {
		select {
		case err := <-done:
			require.NoError(t, err)
			done = nil
		case <-deadline:
			require.FailNow(t, "events did not become readable", "%d writers of %d ended", ends, writers)
		default:
		}
		for _, entity := range l.read() {
			if strings.HasSuffix(entity, "/end") {
				ends++
			}
			seen = append(seen, entity)
		}
	}
	rows, err := l.connect("").Query(t.Context(), `select entity_id from event_log where workspace_id = $1 order by xid, id`, l.space)
	require.NoError(t, err)
	logged, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotContains(t, seen, "rolled back")
	require.Greater(t, len(seen), writers*each)
	require.Equal(t, logged, seen)
	next := map[string]int{}
	for _, entity := range seen {
		writer, number, _ := strings.Cut(entity, "/")
		if next[writer]++; number != "end" {
			require.Equal(t, fmt.Sprint(next[writer]), number, "events of writer %s", writer)
		}
	}
}

// soonRead waits until one event with this entity is readable, and nothing else.
func (l *logFixture) soonRead(entity string) {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		got := l.read()
		if len(got) > 0 {
			require.Equal(l.t, []string{entity}, got)
		}
		return len(got) > 0
	}, promptly, 2*time.Millisecond, "the event %s is held up", entity)
}

// Only who writes events can hold them up: not a transaction of another database, not a prepared one,
// and not one of this database that writes elsewhere.
func TestOtherWritersDoNotHoldTheStreamUp(t *testing.T) {
	l := newLogFixture(t)
	own := l.connect("")
	mustExec(t, own, `create table other (n int)`)
	elsewhere := l.connect("postgres")
	mustExec(t, elsewhere, `begin; select pg_current_xact_id()`)
	prepared := l.connect("")
	gid := "'other " + l.space.String() + "'"
	mustExec(t, prepared, `begin; insert into other values (1); prepare transaction `+gid)
	t.Cleanup(func() { _, _ = own.Exec(context.Background(), `rollback prepared `+gid) })
	beside := l.connect("")
	mustExec(t, beside, `begin; insert into other values (2)`)

	mustExec(t, own, addEvent, l.space, "first")
	l.soonRead("first")
	// What began long before, but writes its first event only now, comes behind what was read.
	mustExec(t, beside, addEvent, l.space, "late")
	require.Empty(t, l.read())
	mustExec(t, beside, `commit`)
	l.soonRead("late")

	bounds, waiting, err := l.session.Bounds(t.Context())
	require.NoError(t, err)
	require.Zero(t, waiting)
	require.True(t, bounds.Covers(l.at), "a cursor above the oldest running transaction can be resumed")
}

// Transactions that are older than the last completed one write in one place, and their ids order them:
// a session that had ids in store would write behind the reader.
func TestEventsOfOnePlaceAreOrderedByTheirIds(t *testing.T) {
	l := newLogFixture(t)
	first, second, newer := l.connect(""), l.connect(""), l.connect("")
	mustExec(t, second, addEvent, l.space, "before")
	l.soonRead("before")
	mustExec(t, first, `begin; select pg_current_xact_id()`)
	mustExec(t, second, `begin; select pg_current_xact_id()`)
	mustExec(t, newer, `select pg_current_xact_id()`)
	for _, conn := range []*pgx.Conn{first, second} {
		entity := fmt.Sprint("of session ", conn.PgConn().PID())
		mustExec(t, conn, addEvent, l.space, entity)
		mustExec(t, conn, `commit`)
		l.soonRead(entity)
	}
}

// A writer that does not end, or is prepared, holds later events up. It is named, and the statement
// that comes with its name ends it.
func TestWhatHoldsTheStreamUpIsNamedAndCanBeEnded(t *testing.T) {
	for _, kind := range []string{"session", "prepared"} {
		t.Run(kind, func(t *testing.T) {
			l := newLogFixture(t)
			own, holder := l.connect(""), l.connect("")
			mustExec(t, holder, `set application_name = 'a slow import'`)
			mustExec(t, holder, `begin`)
			mustExec(t, holder, addEvent, l.space, "held")
			if kind == "prepared" {
				mustExec(t, holder, `prepare transaction 'it''s `+l.space.String()+`'`)
			}
			mustExec(t, own, addEvent, l.space, "after")
			require.Empty(t, l.read())
			state, err := l.store.State(t.Context())
			require.NoError(t, err)
			require.Positive(t, state.Waiting)
			require.Len(t, state.Blockers, 1)
			if kind == "prepared" {
				require.Contains(t, state.Blockers[0].String(), "prepared transaction 'it''s "+l.space.String())
			} else {
				require.Contains(t, state.Blockers[0].String(), fmt.Sprintf("session %d of", holder.PgConn().PID()))
				require.Contains(t, state.Blockers[0].String(), "a slow import")
			}
			// As an operator does it, by the runbook.
			confirm, end := relayLagRunbook(t)
			var pid *int
			var gid *string
			var rest [4]any
			require.NoError(t, own.QueryRow(t.Context(), confirm).Scan(&pid, &gid, &rest[0], &rest[1], &rest[2], &rest[3]))
			if kind == "prepared" {
				statement := strings.Replace(end[1], "GID", strings.ReplaceAll(*gid, "'", "''"), 1)
				require.Equal(t, statement, state.Blockers[0].End())
				mustExec(t, own, statement)
			} else {
				statement := strings.Replace(end[0], "PID", fmt.Sprint(*pid), 1)
				require.Equal(t, statement, state.Blockers[0].End())
				mustExec(t, own, statement)
			}
			l.soonRead("after")
		})
	}
}

// relayLagRunbook is the statement that the runbook confirms the alert with, and those that end it.
func relayLagRunbook(t *testing.T) (confirm string, end []string) {
	t.Helper()
	text, err := os.ReadFile("../../ops/runbooks/sse.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "## Millrace_SSERelayLag\n")
	require.True(t, found)
	quoted := regexp.MustCompile("`([^`]+)`")
	_, section, found = strings.Cut(section, "**Confirm.**")
	require.True(t, found)
	confirm = quoted.FindStringSubmatch(section)[1]
	_, section, found = strings.Cut(section, "**Do.**")
	require.True(t, found)
	for _, match := range quoted.FindAllStringSubmatch(section, 2) {
		end = append(end, match[1])
	}
	return confirm, end
}

// An older snapshot would give an event a place that readers have passed.
func TestEventsAreRefusedInOtherIsolationLevels(t *testing.T) {
	l := newLogFixture(t)
	for _, level := range []string{"repeatable read", "serializable"} {
		conn := l.connect("")
		mustExec(t, conn, `begin isolation level `+level)
		_, err := conn.Exec(t.Context(), addEvent, l.space, "x")
		require.ErrorContains(t, err, "read committed")
	}
}
