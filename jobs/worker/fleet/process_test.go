package fleet_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"millrace/jobs"
	"millrace/jobs/worker/attempt"
	"millrace/jobs/worker/fleet"
	"millrace/ops"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

// workerEnv makes the test binary a worker process on the database it names.
const workerEnv = "FLEET_TEST_WORKER"

func TestMain(m *testing.M) {
	if url := os.Getenv(workerEnv); url != "" {
		if err := beWorker(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// The tests wait for leases to run out rather than work, so they need not wait for each other.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// beWorker works queue ingestion until SIGTERM.
func beWorker(url string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	id := fleet.NewID()
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: url, MaxConns: 8, Worker: id})
	if err != nil {
		return err
	}
	defer pool.Close()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	member, err := fleet.New(fleet.Options{
		ID: id, Pool: pool, Slots: jobs.Slots{jobs.QueueIngestion: 4}, Metrics: ops.NewMetrics(), Logger: logger,
		Version: "test", Drain: 2 * time.Second,
	}, register)
	if err != nil {
		return err
	}
	if err := member.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return member.Stop(context.Background())
}

// taskArgs are work of a length that depends on the attempt.
type taskArgs struct {
	WorkspaceID uuid.UUID       `json:"workspace_id"`
	Name        string          `json:"name"`
	Takes       []time.Duration `json:"takes"`    // of each attempt; the last one of those after it too
	Stubborn    bool            `json:"stubborn"` // continues when its context has ended
	Plain       bool            `json:"plain"`    // keeps no result and leaves its completion to River
}

func (taskArgs) Kind() string { return "test.task" }

func (taskArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: jobs.QueueIngestion, MaxAttempts: 3}
}

// taskWorker does tasks. Each result is a row of effects, which nothing keeps from being there twice.
type taskWorker struct {
	attempt.Worker[taskArgs]
	store *stores.Set
}

func register(st *stores.Set, workers *river.Workers) {
	w := &taskWorker{store: st}
	w.Worker = attempt.Worker[taskArgs]{
		Saver: attempt.NewSaver(st.DB, slog.Default()), Limit: time.Minute,
		Of: func(a taskArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.WorkspaceID },
		Do: w.do,
		Fail: func(ctx context.Context, a taskArgs, lease store.Lease, failure store.Failure) error {
			return w.keep(ctx, a, lease, "failed: "+failure.Reason)
		},
	}
	river.AddWorker(workers, w)
}

func (w *taskWorker) Work(ctx context.Context, job *river.Job[taskArgs]) error {
	if job.Args.Plain {
		return wait(ctx, job.Args, job.Attempt)
	}
	return w.Worker.Work(ctx, job)
}

func (w *taskWorker) do(ctx context.Context, args taskArgs, lease store.Lease) error {
	if err := wait(ctx, args, lease.Attempt); err != nil {
		return err
	}
	if args.Stubborn {
		ctx = context.WithoutCancel(ctx)
	}
	return w.keep(ctx, args, lease, "done")
}

func (w *taskWorker) keep(ctx context.Context, args taskArgs, lease store.Lease, what string) error {
	return w.store.CompleteUnderLease(ctx, lease, args.WorkspaceID, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `insert into effects (job_id, attempt, what, pid) values ($1, $2, $3, $4)`,
			lease.JobID, lease.Attempt, what, os.Getpid())
		return err
	})
}

func wait(ctx context.Context, args taskArgs, attempt int) error {
	if args.Stubborn {
		ctx = context.WithoutCancel(ctx)
	}
	timer := time.NewTimer(args.Takes[min(attempt, len(args.Takes))-1])
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// yard is a database and the worker processes on it.
type yard struct {
	t      *testing.T
	db     *pgtest.DB
	owner  *pgxpool.Pool
	client *jobs.InsertClient
	space  uuid.UUID
}

func newYard(t *testing.T) *yard {
	t.Helper()
	t.Parallel()
	y := &yard{t: t, db: pgtest.New(t), space: uuid.New()}
	y.owner = y.db.OwnerPool(t)
	_, err := y.owner.Exec(t.Context(), `
		insert into workspaces (id, name) values ('`+y.space.String()+`', 'research');
		create table effects (job_id bigint, attempt int, what text, pid int, at timestamptz default clock_timestamp());
		grant select, insert on effects to millrace_app, millrace_workspace`)
	require.NoError(t, err)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: y.db.URL, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	y.client, err = jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return y
}

// member is a worker process.
type member struct {
	t   *testing.T
	cmd *exec.Cmd
	log bytes.Buffer
	end func() error
}

// start starts a worker process and waits for its heartbeat.
func (y *yard) start() *member {
	y.t.Helper()
	m := &member{t: y.t, cmd: exec.Command(os.Args[0])}
	m.cmd.Env = append(os.Environ(), workerEnv+"="+y.db.URL)
	m.cmd.Stderr = &m.log
	require.NoError(y.t, m.cmd.Start())
	m.end = sync.OnceValue(m.cmd.Wait)
	y.t.Cleanup(func() {
		m.signal(syscall.SIGKILL)
		_ = m.end()
		if y.t.Failed() {
			y.t.Logf("worker %d:\n%s", m.cmd.Process.Pid, m.log.String())
		}
	})
	y.eventually(func() bool {
		return y.count(`select count(*) from workers where pid = $1`, m.cmd.Process.Pid) == 1
	}, "no heartbeat")
	return m
}

func (m *member) signal(sig syscall.Signal) { _ = m.cmd.Process.Signal(sig) }

func (m *member) pid() int { return m.cmd.Process.Pid }

func (y *yard) eventually(condition func() bool, what string, args ...any) {
	y.t.Helper()
	require.Eventually(y.t, condition, 40*time.Second, 20*time.Millisecond, append([]any{what}, args...)...)
}

func (y *yard) count(sql string, args ...any) (n int) {
	y.t.Helper()
	require.NoError(y.t, y.owner.QueryRow(y.t.Context(), sql, args...).Scan(&n))
	return n
}

// submit inserts a task and returns its job.
func (y *yard) submit(args taskArgs) int64 {
	y.t.Helper()
	args.WorkspaceID = y.space
	done, err := y.client.Insert(y.t.Context(), args, nil)
	require.NoError(y.t, err)
	return done.Job.ID
}

// job is what the database says of a job.
type job struct {
	state   string
	attempt int
	errors  int
	pid     int // of the process that took it last
}

func (y *yard) job(id int64) (j job) {
	y.t.Helper()
	require.NoError(y.t, y.owner.QueryRow(y.t.Context(), `
		select state, attempt, coalesce(cardinality(errors), 0),
		       coalesce((select pid from workers w where w.id = attempted_by[cardinality(attempted_by)]), 0)
		  from river_job where id = $1`, id).Scan(&j.state, &j.attempt, &j.errors, &j.pid))
	return j
}

// await waits for an attempt of the job to reach a state.
func (y *yard) await(id int64, state string, attempt int) job {
	y.t.Helper()
	y.eventually(func() bool {
		j := y.job(id)
		return j.state == state && j.attempt == attempt
	}, "job %d did not become %s in attempt %d", id, state, attempt)
	return y.job(id)
}

// effects lists what came of a job: attempt and what.
func (y *yard) effects(id int64) []string {
	y.t.Helper()
	rows, err := y.owner.Query(y.t.Context(), `select attempt || ' ' || what from effects where job_id = $1`, id)
	require.NoError(y.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(y.t, err)
	return all
}
