package ingestion_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/ops"
	"millrace/store"
	"millrace/store/library"
)

// renamed is the embedder of a fixture under another name: another model for all that depends on it.
type renamed struct{ *flaky }

func (renamed) Model() knowledge.Model {
	return knowledge.Model{Provider: "other", Name: "words-v2", Dimensions: 384}
}

// mover is a fixture with two models and a knowledge base.
type mover struct {
	*fixture
	other renamed
	base  *knowledge.Base
}

func newMover(t *testing.T) *mover {
	t.Helper()
	m := &mover{fixture: newFixture(t), other: renamed{&flaky{}}}
	m.opts.Embedders = knowledge.Embedders{m.embedder, m.other}
	var err error
	m.base, err = knowledge.NewBase(knowledge.Parts{
		Texts: m.store.Library, Trials: m.store.Recommend, Embedders: m.opts.Embedders, Index: m.index,
		LLM: provider.NewLLM(nil, &ops.NewMetrics().Knowledge, provider.GuardOptions{}, nil),
	})
	require.NoError(t, err)
	return m
}

// move starts a re-embedding to a model.
func (m *mover) move(to knowledge.Embedder) (uuid.UUID, error) {
	m.keys++
	var id uuid.UUID
	_, err := m.store.Library.CreateReembed(m.t.Context(), store.Submission{Workspace: m.space.ID, Route: "test", Key: fmt.Sprint("move-", m.keys)},
		knowledge.PlacementOf(to.Model()),
		func(r *library.Reembed) (store.Response, error) { id = r.ID; return store.Response{Status: 202}, nil })
	return id, err
}

// ended waits for a re-embedding to have a status.
func (m *mover) ended(id uuid.UUID, status library.ReembedStatus) *library.Reembed {
	m.t.Helper()
	var r *library.Reembed
	require.Eventually(m.t, func() bool {
		var err error
		r, err = m.store.Library.Reembed(context.Background(), id)
		return err == nil && r.Status == status
	}, 30*time.Second, 5*time.Millisecond, "%+v", &r)
	return r
}

// sweepNow runs what is scheduled after the switch, and waits for it.
func (m *mover) sweepNow() {
	m.t.Helper()
	_, err := m.owner.Exec(m.t.Context(), `
		update river_job set scheduled_at = now(), state = 'available' where kind = 'ingest.reembed_sweep' and state = 'scheduled'`)
	require.NoError(m.t, err)
	require.Eventually(m.t, func() bool {
		return m.count(`select count(*) from river_job where kind = 'ingest.reembed_sweep' and state <> 'completed'`) == 0
	}, 30*time.Second, 5*time.Millisecond)
}

func (m *mover) vectors(of knowledge.Embedder) int {
	m.t.Helper()
	info, err := m.index.Info(m.t.Context(), knowledge.PlacementOf(of.Model()).Collection)
	require.NoError(m.t, err)
	return int(info.Vectors)
}

func (m *mover) chunks() int { return m.count(`select count(*) from chunks`) }

// parts is how many chunks have the vectors of their parts in a model's collection.
func (m *mover) parts(of knowledge.Embedder) int {
	return m.count(`select count(*) from chunk_parts where collection = $1`, knowledge.PlacementOf(of.Model()).Collection.Name)
}

func (m *mover) model() knowledge.Model {
	m.t.Helper()
	place, err := m.store.Library.Placement(m.t.Context(), m.space.ID, m.embedder.Model())
	require.NoError(m.t, err)
	return place.Model
}

func TestAWorkspaceMovesToAnotherModelAndBack(t *testing.T) {
	m := newMover(t)
	m.work()
	first := m.done(m.text("one", passage("breakouts", 6000)))
	m.done(m.text("two", passage("reversals", 3000)))
	before := m.chunks()
	require.Greater(t, before, 10)
	require.Equal(t, before, m.vectors(m.embedder))

	id, err := m.move(m.other)
	require.NoError(t, err)
	moved := m.ended(id, library.ReembedCompleted)
	require.Equal(t, before, moved.Done)
	require.Equal(t, m.other.Model(), m.model())
	require.Equal(t, before, m.vectors(m.other))
	require.Equal(t, before, m.vectors(m.embedder), "searches that began before the switch still find theirs")
	require.Equal(t, before, m.parts(m.other))
	require.Zero(t, m.parts(m.embedder), "lexical vectors have no parts")
	m.sweepNow()
	require.Zero(t, m.vectors(m.embedder))
	require.Zero(t, m.count(`select count(*) from reembed_chunks`))
	events := m.events(id)
	require.Equal(t, "ingestion.reembed.queued", events[0])
	require.Equal(t, "ingestion.reembed.completed", events[len(events)-1])

	found, err := m.base.Search(t.Context(), m.space.ID, knowledge.Question{Text: "breakouts signal at the close", TopK: 3})
	require.NoError(t, err)
	require.Empty(t, found.Lacking)
	require.Equal(t, first.DocumentID, found.Matches[0].DocumentID)
	require.NotNil(t, found.Matches[0].VectorScore)

	// What is ingested now goes to the new collection, and a move back takes all of it along.
	m.done(m.text("three", passage("pairs", 500)))
	require.Equal(t, m.chunks(), m.vectors(m.other))
	require.Equal(t, m.chunks(), m.parts(m.other))
	id, err = m.move(m.embedder)
	require.NoError(t, err)
	m.ended(id, library.ReembedCompleted)
	m.sweepNow()
	require.Equal(t, m.chunks(), m.vectors(m.embedder))
	require.Zero(t, m.vectors(m.other))
	require.Zero(t, m.parts(m.other))
}

// An index that lost its vectors gets them back by a move to the model that the workspace has.
func TestLostVectorsComeBack(t *testing.T) {
	m := newMover(t)
	m.work()
	m.done(m.text("one", passage("breakouts", 3000)))
	place := knowledge.PlacementOf(m.embedder.Model())
	require.NoError(t, m.index.DeleteWorkspace(t.Context(), knowledge.Scope{Workspace: m.space.ID, Collection: place.Collection}))
	require.Zero(t, m.vectors(m.embedder))
	id, err := m.move(m.embedder)
	require.NoError(t, err)
	m.ended(id, library.ReembedCompleted)
	m.sweepNow()
	require.Equal(t, m.chunks(), m.vectors(m.embedder))
}

// A workspace that moves back before what it left was deleted keeps what it has there by then.
func TestWhatAWorkspaceMovesBackToIsNotDeleted(t *testing.T) {
	m := newMover(t)
	m.work()
	m.done(m.text("one", passage("breakouts", 3000)))
	there, err := m.move(m.other)
	require.NoError(t, err)
	m.ended(there, library.ReembedCompleted)

	back, err := m.move(m.embedder)
	require.NoError(t, err)
	m.ended(back, library.ReembedCompleted)
	again, err := m.move(m.other)
	require.NoError(t, err)
	m.ended(again, library.ReembedCompleted)
	gate := make(chan struct{})
	m.embedder.gate.Store(&gate)
	last, err := m.move(m.embedder)
	require.NoError(t, err)
	m.sweepNow() // of what was left three times, while the last move is on its way
	require.Equal(t, m.chunks(), m.parts(m.other))
	require.Equal(t, m.chunks(), m.vectors(m.embedder), "it is about to be there again")
	m.embedder.gate.Store(nil)
	close(gate)
	m.ended(last, library.ReembedCompleted)
	m.sweepNow()
	require.Equal(t, m.chunks(), m.vectors(m.embedder))
	require.Zero(t, m.vectors(m.other))
}

// Chunks from before there were parts get them by a move to the model that the workspace has, and new revisions have their own.
func TestChunksGetPartsByAMoveToTheSameModel(t *testing.T) {
	m := newMover(t)
	m.opts.Embedders = knowledge.Embedders{m.other}
	m.work()
	first := m.done(m.text("one", passage("breakouts", 3000)))
	require.Positive(t, m.chunks())
	require.Equal(t, m.chunks(), m.parts(m.other))
	_, err := m.owner.Exec(t.Context(), `delete from chunk_parts`)
	require.NoError(t, err)
	id, err := m.move(m.other)
	require.NoError(t, err)
	m.ended(id, library.ReembedCompleted)
	m.sweepNow()
	require.Equal(t, m.chunks(), m.parts(m.other), "where it is again nothing is swept away")

	m.done(m.text("one", passage("reversals", 6000)))
	require.Equal(t, m.chunks(), m.parts(m.other), "those of the revision before went with their chunks")
	require.NoError(t, m.store.Library.DeleteDocument(t.Context(), m.space.ID, first.DocumentID))
	require.Zero(t, m.parts(m.other))
}

// While the workspace moves, questions are asked, documents come, change and go. Every question is
// answered with vectors, and in the end exactly the chunks there are have one.
func TestMovingDisturbsNobody(t *testing.T) {
	m := newMover(t)
	m.work()
	kept := m.done(m.text("kept", passage("breakouts", 6000)))
	changed := m.text("changed", passage("reversals", 3000))
	gone := m.text("gone", passage("pairs", 3000))
	m.done(changed)
	m.done(gone)

	gate := make(chan struct{})
	m.other.gate.Store(&gate)
	id, err := m.move(m.other)
	require.NoError(t, err)
	_, err = m.move(m.other)
	require.ErrorIs(t, err, store.ErrRunning, "one at a time")
	require.Eventually(t, func() bool { return m.other.calls.Load() > 0 }, 30*time.Second, time.Millisecond)

	ctx, stop := context.WithCancel(t.Context())
	var readers errgroup.Group
	var asked atomic.Int64
	for range 3 {
		readers.Go(func() error {
			for ctx.Err() == nil {
				found, err := m.base.Search(ctx, m.space.ID, knowledge.Question{Text: "breakouts signal at the close", TopK: 3})
				if ctx.Err() != nil {
					return nil
				}
				switch {
				case err != nil:
					return err
				case found.Degraded() || len(found.Matches) == 0 || found.Matches[0].DocumentID != kept.DocumentID || found.Matches[0].VectorScore == nil:
					return fmt.Errorf("with %v: %+v", found.Model, found.Matches)
				}
				asked.Add(1)
			}
			return nil
		})
	}
	// A batch has been read and is not embedded yet.
	m.done(m.text("changed", passage("momentum", 2000)))
	require.NoError(t, m.store.Library.DeleteDocument(t.Context(), m.space.ID, gone.DocumentID))
	m.done(m.text("new", passage("carry", 2000)))
	m.other.gate.Store(nil)
	close(gate)
	m.ended(id, library.ReembedCompleted)
	m.done(m.text("after", passage("gaps", 500)))
	from := asked.Load()
	require.Eventually(t, func() bool { return asked.Load() > from+10 }, 30*time.Second, time.Millisecond)
	stop()
	require.NoError(t, readers.Wait())
	m.sweepNow()
	require.Equal(t, m.chunks(), m.vectors(m.other), "a chunk without a vector, or a vector without a chunk")
	require.Equal(t, m.chunks(), m.parts(m.other))
	require.Zero(t, m.vectors(m.embedder))
}

// Timeouts and rate limits are waited for, a worker may be killed, and nothing is embedded twice.
func TestAMoveContinuesAfterFailures(t *testing.T) {
	m := newMover(t)
	stop := m.work()
	m.done(m.text("one", passage("breakouts", 60000)))
	total := m.chunks()
	require.Greater(t, total, 128)
	m.other.fault.Store(&knowledge.Fault{Kind: knowledge.FaultRateLimit, RetryAfter: 10 * time.Millisecond})
	id, err := m.move(m.other)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r, err := m.store.Library.Reembed(t.Context(), id)
		return err == nil && r.Reason != nil
	}, 30*time.Second, 5*time.Millisecond)
	require.Equal(t, m.embedder.Model(), m.model(), "the workspace stays where it is meanwhile")
	m.other.fault.Store(&knowledge.Fault{Kind: knowledge.FaultTimeout})

	// The first batch passes, the second meets a worker that is stopped.
	var calls atomic.Int64
	gate := make(chan struct{})
	m.other.gate.Store(&gate)
	m.other.fault.Store(nil)
	gate <- struct{}{}
	require.Eventually(t, func() bool { return m.count(`select count(*) from reembed_chunks`) == 128 }, 30*time.Second, 5*time.Millisecond)
	stop()
	m.other.gate.Store(nil)
	calls.Store(m.other.calls.Load())
	m.work()
	r := m.ended(id, library.ReembedCompleted)
	require.Equal(t, total, r.Done)
	require.LessOrEqual(t, m.other.calls.Load()-calls.Load(), int64((total-128+127)/128), "what was done is done")
}

func TestAMoveThatCannotBeSaysWhy(t *testing.T) {
	m := newMover(t)
	m.work()
	m.done(m.text("one", passage("breakouts", 500)))
	m.other.fault.Store(&knowledge.Fault{Kind: knowledge.FaultDimensions, Err: errors.New("at 10.0.0.1")})
	id, err := m.move(m.other)
	require.NoError(t, err)
	r := m.ended(id, library.ReembedFailed)
	require.Contains(t, *r.Reason, "another length")
	require.NotContains(t, *r.Reason, "10.0.0.1")
	require.Equal(t, m.embedder.Model(), m.model())
	_, err = m.move(m.other)
	require.NoError(t, err, "one that failed is in nobody's way")
}

// A fleet may be set up again machine by machine: one that has no such model yet leaves the job to one that has.
func TestAWorkerWithoutTheModelLeavesAMoveToAnother(t *testing.T) {
	m := newMover(t)
	both := m.opts.Embedders
	m.opts.Embedders = both[:1]
	stop := m.work()
	m.done(m.text("one", passage("breakouts", 500)))
	id, err := m.move(m.other)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r, err := m.store.Library.Reembed(t.Context(), id)
		return err == nil && r.Reason != nil && r.Status != library.ReembedFailed
	}, 30*time.Second, 5*time.Millisecond)
	r, err := m.store.Library.Reembed(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, *r.Reason, "waits for one that is")
	stop()
	m.opts.Embedders = both
	m.work()
	require.Equal(t, m.chunks(), m.ended(id, library.ReembedCompleted).Done)
}
