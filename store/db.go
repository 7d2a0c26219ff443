package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/store/session"
)

// AppRole is the role every connection acts as; row-level security applies to it.
const AppRole = "millrace_app"

// WorkspaceRole is what a workspace's transactions act as: AppRole, less the fleet's jobs and workers.
const WorkspaceRole = "millrace_workspace"

// FleetRole sees every workspace's rows.
const FleetRole = "millrace_fleet"

// AnswerWithin bounds one statement on a connection of its own; a server that is silent for longer
// is gone.
const AnswerWithin = 5 * time.Second

// Jobs inserts and cancels River jobs inside the caller's transaction. The River client is one.
type Jobs interface {
	InsertTx(ctx context.Context, tx pgx.Tx, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	InsertManyTx(ctx context.Context, tx pgx.Tx, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	JobCancelTx(ctx context.Context, tx pgx.Tx, jobID int64) (*rivertype.JobRow, error)
}

// PreparedJobs is what Jobs may do besides: give the row of a job, to be inserted by a statement of ours, and wake who works
// one that is not held back.
type PreparedJobs interface {
	Prepare(ctx context.Context, args river.JobArgs, opts river.InsertOpts) (*rivertype.JobInsertParams, error)
	Wake(queue string, last func(what, sql string, args ...any), afterCommit func(fn func()))
}

// DB is the pool and the transactions on it; the packages below keep their aggregates in it. It is safe for concurrent use.
type DB struct {
	pool      *pgxpool.Pool
	spaces    *pgxpool.Pool // of workspaces' transactions; may be the same
	jobs      Jobs
	clock     *Clock
	recorder  Recorder
	schedules Schedules
	holding   *queues
	taken     guesses // workspaces whose cap is taken
	unfit     guesses // workspaces whose ingestions have to begin before their rows are sent
	version   string
}

// PoolOptions configure OpenPool.
type PoolOptions struct {
	DatabaseURL string
	MaxConns    int32                // 0: pgx's default
	Name        string               // application_name; default millrace, of a worker with its id
	Worker      string               // id of the worker whose pool it is: outcomes count only from a job's holder
	Acquire     prometheus.Histogram // seconds to get a connection; may be nil
	ConnErrors  prometheus.Counter   // failed connection attempts; may be nil
	Spans       SpanTracer           // makes spans of statements; may be nil
}

// SpanTracer makes spans of the statements of a context that has a span.
type SpanTracer interface {
	pgx.QueryTracer
	pgx.BatchTracer
}

// OpenPool opens a pool whose connections act as AppRole. It does not wait for the database:
// the first query does, so that a process can start before Postgres does.
func OpenPool(ctx context.Context, opts PoolOptions) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(opts.DatabaseURL)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", err)
	}
	if opts.MaxConns > 0 {
		cfg.MaxConns = opts.MaxConns
	}
	session.Configure(cfg.ConnConfig, session.Work())
	cfg.ConnConfig.RuntimeParams["role"] = AppRole
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if opts.Worker != "" {
		cfg.ConnConfig.RuntimeParams["millrace.worker"] = opts.Worker
	}
	if name := cmp.Or(opts.Name, WorkerSessions(opts.Worker)); name != "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = name
	} else if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "millrace"
	}
	cfg.ConnConfig.Tracer = &poolTracer{acquire: opts.Acquire, connErrors: opts.ConnErrors, spans: opts.Spans}
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		registerIDs(conn.TypeMap())
		registerArrays(conn.TypeMap())
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	return pool, nil
}

// WorkerSessions is the application_name of a worker's sessions, by which they are found when it is
// lost. It must be shorter than Postgres' 64 bytes for a name.
func WorkerSessions(id string) string {
	if id == "" {
		return ""
	}
	return "millrace " + id
}

// New returns the database on the pool. jobs may be nil where nothing is submitted.
func New(pool *pgxpool.Pool, jobs Jobs) *DB {
	return &DB{pool: pool, spaces: pool, jobs: jobs, clock: newClock(), recorder: nobody{}, schedules: nobody{}, holding: newQueues()}
}

// River inserts and cancels jobs within a transaction.
func (s *DB) River() Jobs { return s.jobs }

// Pool is the pool the store runs on, for the listener's and River's own use.
func (s *DB) Pool() *pgxpool.Pool { return s.pool }

// Ping reports whether the database answers.
func (s *DB) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// InWorkspace runs fn in a transaction that sees only the given workspace's rows.
func (s *DB) InWorkspace(ctx context.Context, workspace uuid.UUID, fn func(*Tx) error) error {
	// One round trip for all; a UUID's text needs no quoting.
	return s.inTx(ctx, s.spaces, workspace, beginTenant+"; "+EnterWorkspace(workspace), "commit", fn)
}

// InFleet runs fn in a transaction that sees every workspace's rows.
func (s *DB) InFleet(ctx context.Context, fn func(*Tx) error) error {
	return s.InTx(ctx, "begin; set local role millrace_fleet", fn)
}

func (s *DB) InTx(ctx context.Context, begin string, fn func(*Tx) error) error {
	return s.inTx(ctx, s.pool, uuid.Nil, begin, "commit", fn)
}

// inTx runs fn between two queries, each of which may be several statements: one round trip.
func (s *DB) inTx(ctx context.Context, pool *pgxpool.Pool, workspace uuid.UUID, begin, commit string, fn func(*Tx) error) error {
	if audit := due(ctx); audit != nil && commit == "commit" {
		return audited(ctx, pool, audit, workspace, begin, fn)
	}
	plain, err := pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin, CommitQuery: commit})
	if err != nil {
		return fmt.Errorf("begin: %w", Present(err))
	}
	defer rollback(ctx, plain)
	tx := &Tx{Tx: plain}
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, fn := range tx.afterCommit {
		fn()
	}
	return nil
}

// audited is inTx for a request that leaves an audit entry, which is committed with the change.
func audited(ctx context.Context, pool *pgxpool.Pool, audit *Audit, workspace uuid.UUID, begin string, fn func(*Tx) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer conn.Release() // one that is in a transaction is closed
	plain, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return fmt.Errorf("begin: %w", Present(err))
	}
	tx, committed := &Tx{Tx: plain}, false
	defer func() {
		if !committed {
			rollback(ctx, plain)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.unaudited {
		err = plain.Commit(ctx)
	} else {
		err = audit.commitAudited(ctx, conn, workspace, &pgx.Batch{}, false)
	}
	if err != nil {
		return err
	}
	committed = true
	for _, fn := range tx.afterCommit {
		fn()
	}
	return nil
}

// FleetRow reads one row that any workspace may own, in one round trip. It is pgx.ErrNoRows when
// there is none.
func (s *DB) FleetRow(ctx context.Context, sql string, args []any, into ...any) error {
	found := false
	batch := &pgx.Batch{}
	// What a batch sends is one transaction, and the role lasts as long.
	batch.Queue(`select set_config('role', $1, true)`, FleetRole)
	batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, into, func() error { found = true; return nil })
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	if !found {
		return pgx.ErrNoRows
	}
	return nil
}

// rollback ends tx even when ctx is already done, so that its connection goes back to the pool;
// after a commit it does nothing.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// SQLSTATEs that callers distinguish.
const (
	UniqueViolation     = "23505"
	ForeignKeyViolation = "23503"
	LockNotAvailable    = "55P03"
	ObjectInUse         = "55006"

	readOnlyTransaction  = "25006"
	idleInTransaction    = "25P03"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	queryCanceled        = "57014" // also by statement_timeout: the same statement would meet it again
	databaseDropped      = "57P04"
)

// SQLState returns the SQLSTATE of err, or "" when Postgres did not raise it.
func SQLState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// poolTracer measures what callers wait for a connection, and counts attempts that failed.
type poolTracer struct {
	acquire    prometheus.Histogram
	connErrors prometheus.Counter
	spans      SpanTracer // nil: none
	recent     recent
	lost       atomic.Int64 // when a connection was last lost, in nanoseconds; 0: never
	uncounted  atomic.Int64 // failed attempts that the fleet's count does not have yet
}

type acquireStart struct{}

func (t *poolTracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return context.WithValue(ctx, acquireStart{}, time.Now())
}

func (t *poolTracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	start, ok := ctx.Value(acquireStart{}).(time.Time)
	if !ok {
		return
	}
	took := time.Since(start)
	t.recent.add(took)
	if t.acquire != nil {
		t.acquire.Observe(took.Seconds())
	}
}

func (t *poolTracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

func (t *poolTracer) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	if data.Err == nil {
		return
	}
	t.note(data.Err)
	t.uncounted.Add(1)
	if t.connErrors != nil {
		t.connErrors.Inc()
	}
}

func (t *poolTracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if t.spans == nil {
		return ctx
	}
	return t.spans.TraceQueryStart(ctx, conn, data)
}

func (t *poolTracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	t.note(data.Err)
	if t.spans != nil {
		t.spans.TraceQueryEnd(ctx, conn, data)
	}
}

func (t *poolTracer) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if t.spans == nil {
		return ctx
	}
	return t.spans.TraceBatchStart(beforeBatch(ctx), conn, data)
}

func (t *poolTracer) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	if t.spans != nil {
		ctx, end := batchedEventSpan(ctx, data)
		defer end()
		t.spans.TraceBatchQuery(ctx, conn, data)
	}
}

func (t *poolTracer) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	t.note(data.Err)
	if t.spans != nil {
		t.spans.TraceBatchEnd(ctx, conn, data)
	}
}

// note remembers when the pool last lost a connection.
func (t *poolTracer) note(err error) {
	if Unreachable(err) {
		t.lost.Store(time.Now().UnixNano())
	}
}

// NotNow reports whether err, of what began at a moment of the machine's clock, says that the database
// was away or took no writes, see Transient.
func (s *DB) NotNow(err error, began time.Time) bool {
	return Refused(err) || Unreachable(err) && s.LostConnectionSince(began)
}

// LostConnectionSince reports whether the pool lost a connection, or could not make one, since a moment
// of the machine's clock. It distinguishes a database that is away from other connections that are.
func (s *DB) LostConnectionSince(moment time.Time) bool {
	tracer, ok := s.pool.Config().ConnConfig.Tracer.(*poolTracer)
	return ok && tracer.lost.Load() >= moment.UnixNano()
}

// Page is a place in a list that is ordered newest first; the zero Page is its beginning.
type Page struct {
	Before   time.Time
	BeforeID uuid.UUID
}
