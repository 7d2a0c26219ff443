package ingestion_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/store"
	"millrace/store/library"
)

const (
	eventually = 30 * time.Second
	tick       = 5 * time.Millisecond
)

func (r *fixture) page(path string) *library.Ingest {
	r.t.Helper()
	return r.submit(library.NewIngest{SourceType: knowledge.SourceArticle, URL: r.site.URL + path}, nil)
}

func TestASourceThatFailsForAMomentIsTriedAgain(t *testing.T) {
	r := newFixture(t)
	var asked atomic.Int64
	r.handle(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(blog))
	})
	in := r.page("/a")
	r.work()
	done := r.done(in)
	require.Equal(t, 3, done.Attempts)
	require.Nil(t, done.Reason)
	require.Contains(t, r.events(in.ID), "ingestion.job.retrying")
}

func TestASourceThatKeepsFailingIsADeadEndThatSaysWhy(t *testing.T) {
	r := newFixture(t)
	r.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	in := r.page("/a")
	r.nearItsEnd(in)
	r.work()
	reason := r.failed(in)
	require.Contains(t, reason, "the source answered 500")
	require.Contains(t, reason, "tried 8 times")
	require.True(t, r.until(in.ID, library.IngestFailed).Retryable(), "the source may be well another day")
}

// A source that asks to wait is waited for without an attempt being spent, but not without end.
func TestARateLimitSnoozes(t *testing.T) {
	r := newFixture(t)
	var limited atomic.Bool
	limited.Store(true)
	r.handle(func(w http.ResponseWriter, _ *http.Request) {
		if limited.Load() {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = w.Write([]byte(blog))
	})
	r.work()
	in := r.page("/a")
	waiting := r.until(in.ID, library.IngestRetrying)
	require.Contains(t, reason(waiting), "too many requests")
	require.WithinDuration(t, time.Now().Add(time.Hour), *waiting.NextAttemptAt, time.Minute)
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from river_job where id = $1 and state = 'scheduled' and attempt = 0`, in.RiverJobID) == 1
	}, eventually, tick)
	limited.Store(false)
	_, err := r.owner.Exec(t.Context(), `update river_job set state = 'available', scheduled_at = now() where id = $1`, in.RiverJobID)
	require.NoError(t, err)
	require.Equal(t, 2, r.done(in).Attempts)

	limited.Store(true)
	late := r.page("/b")
	r.until(late.ID, library.IngestRetrying)
	_, err = r.owner.Exec(t.Context(), `update ingest_jobs set created_at = now() - interval '24 hours' where id = $1`, late.ID)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // once it is snoozed, it runs at once
		tag, err := r.owner.Exec(context.Background(), `
			update river_job set state = 'available', scheduled_at = now() where id = $1 and state = 'scheduled'`, late.RiverJobID)
		return err == nil && tag.RowsAffected() == 1
	}, eventually, tick)
	require.Contains(t, r.failed(late), "in vain")
	require.True(t, r.until(late.ID, library.IngestFailed).Retryable())
}

// An embedder or index that is away costs no attempts, loses no job and leaves the old document whole.
func TestADocumentStaysAsItWasUntilTheEmbedderIsBack(t *testing.T) {
	r := newFixture(t)
	r.work()
	before := r.done(r.text("a.txt", passage("momentum", 300)))
	_, old := r.document(before.DocumentID)
	r.embedder.fault.Store(&knowledge.Fault{Kind: knowledge.FaultUnreachable, Part: "embedder test", Err: errors.New("http://secret@host")})
	in := r.text("a.txt", passage("carry", 300))
	require.NotContains(t, reason(r.until(in.ID, library.IngestRetrying)), "secret")
	_, chunks := r.document(before.DocumentID)
	require.Equal(t, old, chunks)
	r.embedder.fault.Store(nil)
	r.done(in)
	_, chunks = r.document(before.DocumentID)
	require.Contains(t, chunks[0].Text, "carry")
}

func TestAnAttemptThatDiesLeavesNothingAndIsMadeAgain(t *testing.T) {
	r := newFixture(t)
	gate := make(chan struct{})
	r.embedder.gate.Store(&gate)
	stop := r.work()
	in := r.text("a.txt", passage("momentum", 900))
	require.Eventually(t, func() bool { return r.embedder.calls.Load() > 0 }, eventually, tick)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	require.Eventually(t, func() bool { // the drain is over and the job handed back
		return r.count(`select count(*) from river_job where id = $1 and state <> 'running'`, in.RiverJobID) == 1
	}, eventually, tick)
	<-stopped
	require.Zero(t, r.count(`select count(*) from chunks`))
	r.embedder.gate.Store(nil)
	close(gate)
	r.work()
	_, chunks := r.document(r.done(in).DocumentID)
	require.NotEmpty(t, chunks)
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from vectors where embedding is not null`) == len(chunks)
	}, eventually, tick)
}

// A document that is deleted while it is ingested, the first time or again, leaves nothing behind:
// no row, no vector, no job.
func TestADocumentDeletedWhileItIsIngested(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { deletedWhileIngested(t, newFixture(t)) })
	t.Run("qdrant", func(t *testing.T) {
		r := newFixture(t)
		r.remote()
		r.opts.Embedders = knowledge.Embedders{r.embedder}
		deletedWhileIngested(t, r)
	})
}

func deletedWhileIngested(t *testing.T, r *fixture) {
	r.work()
	for _, again := range []bool{false, true} {
		if again {
			r.done(r.text("a.txt", passage("momentum", 300)))
		}
		gate := make(chan struct{})
		r.embedder.gate.Store(&gate)
		calls := r.embedder.calls.Load()
		in := r.text("a.txt", passage("carry", 3000))
		require.Eventually(t, func() bool { return r.embedder.calls.Load() > calls }, eventually, tick)
		require.NoError(t, r.store.Library.DeleteDocument(t.Context(), r.space.ID, in.DocumentID))
		close(gate)
		r.embedder.gate.Store(nil)
		require.Contains(t, reason(r.until(in.ID, library.IngestCanceled)), "deleted")
		require.Eventually(t, func() bool {
			return r.count(`select count(*) from river_job where kind = 'ingest.source' and finalized_at is null`) == 0
		}, eventually, tick, "no stuck job")
		require.Zero(t, r.count(`select count(*) from documents`))
		require.Zero(t, r.count(`select count(*) from chunks`))
		require.Zero(t, r.count(`select count(*) from ingest_uploads`))
		r.awaitVectors(0, "no vector without a document")
	}
	require.ErrorIs(t, r.store.Library.DeleteDocument(t.Context(), r.space.ID, r.space.ID), store.ErrNotFound)
}

// late is an index that writes when it is let, whatever has become of the caller.
type late struct {
	knowledge.VectorIndex
	gate    chan struct{}
	waiting atomic.Int64
}

func (l *late) Upsert(ctx context.Context, scope knowledge.Scope, points []knowledge.Point) error {
	l.waiting.Add(1)
	<-l.gate
	return l.VectorIndex.Upsert(context.WithoutCancel(ctx), scope, points)
}

// A write that was under way when its document was deleted lands after the vectors were forgotten.
func TestVectorsThatOutlastTheirDocumentGo(t *testing.T) {
	r := newFixture(t)
	index := &late{VectorIndex: r.index, gate: make(chan struct{})}
	r.opts.Index = index
	r.work()
	in := r.text("a.txt", passage("momentum", 300))
	require.Eventually(t, func() bool { return index.waiting.Load() > 0 }, eventually, tick)
	require.NoError(t, r.store.Library.DeleteDocument(t.Context(), r.space.ID, in.DocumentID))
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from river_job where kind = 'ingest.forget' and state = 'completed'`) > 0
	}, eventually, tick)
	close(index.gate)
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from vectors`) > 0 && r.count(`select count(*) from vectors where embedding is not null`) == 0
	}, eventually, tick)
}

func TestACanceledIngestionKeepsTheDocumentThatWas(t *testing.T) {
	r := newFixture(t)
	r.work()
	first := r.done(r.text("a.txt", passage("momentum", 300)))
	gate := make(chan struct{})
	r.embedder.gate.Store(&gate)
	defer close(gate)
	calls := r.embedder.calls.Load()
	in := r.text("a.txt", passage("carry", 300))
	require.Eventually(t, func() bool { return r.embedder.calls.Load() > calls }, eventually, tick)
	ended, err := r.store.Library.CancelIngest(t.Context(), r.space.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, library.IngestCanceled, ended.Status)
	_, err = r.store.Library.CancelIngest(t.Context(), r.space.ID, in.ID)
	require.ErrorIs(t, err, store.ErrEnded)
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from river_job where id = $1 and state = 'cancelled'`, in.RiverJobID) == 1
	}, eventually, tick)
	doc, _ := r.document(first.DocumentID)
	require.Equal(t, first.Revision, doc.Revision)
}

// Two submissions of one source at once make one document, of the one that began last.
func TestConcurrentIngestionsOfOneSource(t *testing.T) {
	r := newFixture(t)
	r.work()
	r.work()
	var all []*library.Ingest
	for _, subject := range []string{"momentum", "carry", "value", "quality", "size"} {
		all = append(all, r.text("same.txt", passage(subject, 1500)))
	}
	last := int64(0)
	for _, in := range all {
		require.Equal(t, all[0].DocumentID, in.DocumentID)
		last = max(last, r.done(in).Revision)
	}
	doc, chunks := r.document(all[0].DocumentID)
	require.Equal(t, last, doc.Revision)
	require.Equal(t, 1, r.count(`select count(distinct revision) from chunks`))
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from vectors where embedding is not null`) == len(chunks)
	}, eventually, tick)
}

func TestTheCrashOfAnExtractionIsNotInTheReasonOfItsFailure(t *testing.T) {
	r := newFixture(t)
	var err error
	r.opts.Sandbox, err = sandbox.New(sandbox.Options{Command: []string{"/bin/sh", "-c", "echo panic: out of range >&2; exit 2"}})
	require.NoError(t, err)
	in := r.submit(library.NewIngest{SourceType: knowledge.SourcePDF, Name: "x.pdf"}, []byte("%PDF-1.4"))
	r.nearItsEnd(in)
	r.work()
	why := r.failed(in)
	require.Contains(t, why, "an error on our side")
	require.NotContains(t, why, "range")
}

// A source that took down its worker at every attempt is failed in one more, see workers.Rescue.
func TestASourceThatTakesDownItsWorkersFails(t *testing.T) {
	r := newFixture(t)
	in := r.text("a.txt", "Deadly.")
	_, err := r.owner.Exec(t.Context(), `update river_job set attempt = max_attempts where id = $1`, in.RiverJobID)
	require.NoError(t, err)
	r.work()
	require.Contains(t, r.failed(in), "lost its worker")
	require.Zero(t, r.count(`select count(*) from documents`))
}
