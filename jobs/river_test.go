package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/pgtest"
)

// asked is a job that does what its arguments say.
type asked struct {
	Do string `json:"do" river:"unique"`
}

func (asked) Kind() string { return "asked" }

// askedWorker reports what it works.
type askedWorker struct {
	river.WorkerDefaults[asked]

	began chan string
}

func (w *askedWorker) Work(ctx context.Context, job *river.Job[asked]) error {
	w.began <- job.Args.Do
	switch {
	case job.Args.Do == "wait":
		<-ctx.Done()
		return ctx.Err()
	case job.Args.Do == "fail" && job.Attempt == 1:
		return errors.New("as asked")
	}
	return nil
}

// worked is a client of River on our driver that works a queue.
type worked struct {
	t      *testing.T
	pool   *pgxpool.Pool
	client *jobs.Client
	began  chan string
	events <-chan *river.Event
}

func newWorked(t *testing.T) *worked {
	t.Helper()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: pgtest.New(t).URL, MaxConns: 6, Worker: "worked"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	w := &worked{t: t, pool: pool, began: make(chan string, 100)}
	workers := river.NewWorkers()
	river.AddWorker(workers, &askedWorker{began: w.began})
	w.client, err = river.NewClient(jobs.NewDriver(pool), &river.Config{
		ID: "worked", Logger: slog.New(slog.DiscardHandler), Workers: workers, FetchCooldown: 5 * time.Millisecond, FetchPollInterval: 50 * time.Millisecond,
		Queues: map[string]river.QueueConfig{"q": {MaxWorkers: 4}}, Middleware: []rivertype.Middleware{&jobs.DatabaseTimes{}}, ReindexerIndexNames: []string{},
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) {
			return asked{"periodic"}, &river.InsertOpts{Queue: "q"}
		}, &river.PeriodicJobOpts{RunOnStart: true})},
	})
	require.NoError(t, err)
	events, unsubscribe := w.client.Subscribe(river.EventKindJobCompleted, river.EventKindJobCancelled, river.EventKindJobFailed, river.EventKindQueuePaused)
	w.events = events
	t.Cleanup(unsubscribe)
	require.NoError(t, w.client.Start(t.Context()))
	t.Cleanup(func() { _ = w.client.StopAndCancel(context.Background()) })
	w.begins("periodic") // the leader was elected, and its own insert works
	return w
}

// begins waits until a job begins.
func (w *worked) begins(want string) {
	w.t.Helper()
	select {
	case got := <-w.began:
		require.Equal(w.t, want, got)
	case <-time.After(time.Minute):
		require.Fail(w.t, "it does not begin", want)
	}
}

// becomes waits until a job is in a state.
func (w *worked) becomes(id int64, want rivertype.JobState) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		job, err := w.client.JobGet(w.t.Context(), id)
		require.NoError(w.t, err)
		return job.State == want
	}, time.Minute, 10*time.Millisecond, "job %d never is %s", id, want)
}

func (w *worked) insert(do string, opts river.InsertOpts) *rivertype.JobInsertResult {
	w.t.Helper()
	opts.Queue = "q"
	made, err := w.client.Insert(w.t.Context(), asked{do}, &opts)
	require.NoError(w.t, err)
	return made
}

// What River's client offers works with our driver below it.
func TestRiversClientWorksOnOurDriver(t *testing.T) {
	t.Parallel()
	w := newWorked(t)
	ctx := t.Context()
	q := &river.InsertOpts{Queue: "q"}

	// An attempt that fails is worked again when it is asked for, and one that runs is cancelled.
	failed := w.insert("fail", river.InsertOpts{}).Job
	w.begins("fail")
	require.Equal(t, failed.ID, w.next(river.EventKindJobFailed).Job.ID)
	_, err := w.client.JobRetry(ctx, failed.ID)
	require.NoError(t, err)
	w.begins("fail")
	w.becomes(failed.ID, rivertype.JobStateCompleted)
	waits := w.insert("wait", river.InsertOpts{}).Job
	w.begins("wait")
	_, err = w.client.JobCancel(ctx, waits.ID)
	require.NoError(t, err)
	w.becomes(waits.ID, rivertype.JobStateCancelled)

	// A queue that is paused waits, and one that is resumed works.
	require.NoError(t, w.client.QueuePause(ctx, "q", nil))
	w.next(river.EventKindQueuePaused) // its producer has heard of it
	many, err := w.client.InsertMany(ctx, []river.InsertManyParams{{Args: asked{"many"}, InsertOpts: q}, {Args: asked{"many"}, InsertOpts: q}})
	require.NoError(t, err)
	require.Len(t, many, 2)
	count, err := w.client.InsertManyFast(ctx, []river.InsertManyParams{{Args: asked{"many"}, InsertOpts: q}})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	unique := river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}}
	require.False(t, w.insert("once", unique).UniqueSkippedAsDuplicate)
	require.True(t, w.insert("once", unique).UniqueSkippedAsDuplicate)
	require.Equal(t, rivertype.JobStatePending, w.insert("never", river.InsertOpts{Pending: true}).Job.State)
	require.Empty(t, w.began)
	require.NoError(t, w.client.QueueResume(ctx, "q", nil))
	began := []string{<-w.began, <-w.began, <-w.began, <-w.began}
	require.ElementsMatch(t, []string{"many", "many", "many", "once"}, began)
	w.insert("later", river.InsertOpts{ScheduledAt: time.Now().Add(100 * time.Millisecond)})
	w.begins("later")
}

// next is the next event of a kind.
func (w *worked) next(kind river.EventKind) *river.Event {
	w.t.Helper()
	for {
		select {
		case e := <-w.events:
			if e.Kind == kind {
				return e
			}
		case <-time.After(time.Minute):
			require.Fail(w.t, "no event", string(kind))
		}
	}
}

// What is copied in has its time of the database too, as what is inserted has.
func TestJobsThatAreCopiedInHaveTheDatabasesTime(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	later := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, insert := range []func(*jobs.InsertClient, []river.InsertManyParams) error{
		func(c *jobs.InsertClient, many []river.InsertManyParams) error {
			_, err := c.InsertManyFast(t.Context(), many)
			return err
		},
		func(c *jobs.InsertClient, many []river.InsertManyParams) error {
			return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				_, err := c.InsertManyFastTx(t.Context(), tx, many)
				return err
			})
		},
	} {
		require.NoError(t, insert(client, []river.InsertManyParams{{Args: asked{"now"}}, {Args: asked{"later"}, InsertOpts: &river.InsertOpts{ScheduledAt: later}}}))
	}
	var good, all int
	require.NoError(t, pool.QueryRow(t.Context(), `
		select count(*) filter (where abs(extract(epoch from now() - created_at)) < 60
		           and (scheduled_at = created_at and args ->> 'do' = 'now' or scheduled_at = $1 and args ->> 'do' = 'later')), count(*)
		  from river_job`, later).Scan(&good, &all))
	require.Equal(t, 4, all)
	require.Equal(t, all, good)
}
