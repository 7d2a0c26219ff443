package jobs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// hinted is a client whose hints lie far apart, and a session that gets them.
type hinted struct {
	t        *testing.T
	pool     *pgxpool.Pool
	client   *InsertClient
	listener *pgx.Conn
}

func newHinted(t *testing.T) *hinted {
	t.Helper()
	db := pgtest.New(t)
	h := &hinted{t: t, pool: db.Pool(t)}
	var err error
	h.client, err = NewInsertClient(h.pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	h.client.hints.every = 300 * time.Millisecond
	h.listener, err = pgx.Connect(t.Context(), db.OwnerURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.listener.Close(context.Background()) })
	_, err = h.listener.Exec(t.Context(), `listen "public.river_insert"`)
	require.NoError(t, err)
	return h
}

func (h *hinted) args() TunePlanArgs {
	return TunePlanArgs{WorkspaceID: uuid.New(), TuneID: uuid.New()}
}

// awaits reads one hint.
func (h *hinted) awaits(why string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer cancel()
	got, err := h.listener.WaitForNotification(ctx)
	require.NoError(h.t, err, why)
	require.JSONEq(h.t, `{"queue": "tunes"}`, got.Payload)
}

// known is a transaction whose commit is known, as the store's are.
type known struct {
	pgx.Tx

	after []func()
}

func (t *known) AfterCommit(fn func()) { t.after = append(t.after, fn) }

func (t *known) Commit(ctx context.Context) error {
	if err := t.Tx.Commit(ctx); err != nil {
		return err
	}
	for _, fn := range t.after {
		fn()
	}
	return nil
}

func (h *hinted) begin() pgx.Tx {
	h.t.Helper()
	tx, err := h.pool.Begin(h.t.Context())
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// The fetch that the first hint brings about comes before the second job's commit, so the second needs a hint of its own.
func TestAJobInsertedSoonAfterAnotherIsHintedAtAfterItsCommit(t *testing.T) {
	t.Parallel()
	h := newHinted(t)
	first, second := &known{Tx: h.begin()}, &known{Tx: h.begin()}
	for _, tx := range []*known{first, second} {
		_, err := h.client.InsertTx(t.Context(), tx, h.args(), nil)
		require.NoError(t, err)
	}
	require.NoError(t, first.Commit(t.Context()))
	h.awaits("of the first job")
	require.NoError(t, second.Commit(t.Context()))
	h.awaits("of the second job")

	// The same where each is inserted in a transaction of its own: nobody else wakes the queue.
	for range 3 {
		_, err := h.client.Insert(t.Context(), h.args(), nil)
		require.NoError(t, err)
		h.awaits("of a job inserted alone")
	}
}

func TestATransactionOfWhichTheCommitIsNotKnownHintsInIt(t *testing.T) {
	t.Parallel()
	h := newHinted(t)
	h.client.hints.every = time.Hour
	for range 3 {
		tx := h.begin()
		_, err := h.client.InsertTx(t.Context(), tx, h.args(), nil)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		h.awaits("of a transaction")
	}
}

// A hint takes a lock of the whole server, so those of one burst are one.
func TestABurstIsHintedAtTwice(t *testing.T) {
	t.Parallel()
	h := newHinted(t)
	h.client.hints.every = time.Second
	began := time.Now()
	for range 20 {
		_, err := h.client.Insert(t.Context(), h.args(), nil)
		require.NoError(t, err)
	}
	bursts := int(time.Since(began)/h.client.hints.every) + 1
	for range 2 * bursts {
		ctx, cancel := context.WithTimeout(t.Context(), 2*h.client.hints.every)
		_, err := h.listener.WaitForNotification(ctx)
		cancel()
		if err != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*h.client.hints.every)
	defer cancel()
	_, err := h.listener.WaitForNotification(ctx)
	require.Error(t, err, "more hints than one at the beginning of each burst and one after it")
}

func TestAJobThatWaitsIsNotHintedAt(t *testing.T) {
	t.Parallel()
	require.Empty(t, queueOf(TunePlanArgs{}, &river.InsertOpts{Pending: true}))
	require.Empty(t, queueOf(TunePlanArgs{}, &river.InsertOpts{ScheduledAt: time.Unix(1, 0)}))
	require.Equal(t, QueueTunes, queueOf(TunePlanArgs{}, nil))
	require.Equal(t, "other", queueOf(TunePlanArgs{}, &river.InsertOpts{Queue: "other"}))
}

func TestAPanicOfALateHintDoesNotEndTheProcess(t *testing.T) {
	require.NotPanics(t, newHints(nil).sender("tunes"))
}
