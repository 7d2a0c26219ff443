package webhook_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/webhook"
	"millrace/ops"
	"millrace/ops/publicnet"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/webhooks"
)

// patience is far above what a delivery takes, also on a machine that is loaded.
const patience = 60 * time.Second

// childEnv makes the test binary a worker process on the database it names, whose receivers are at a port.
const (
	childEnv = "MILLRACE_WEBHOOK_WORKER"
	portEnv  = "MILLRACE_WEBHOOK_PORT"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := beWorker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beWorker works until its standard input ends, which it does when the test that started it is killed.
func beWorker() error {
	ctx := context.Background()
	var port uint16
	if _, err := fmt.Sscan(os.Getenv(portEnv), &port); err != nil {
		return err
	}
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: os.Getenv(childEnv), MaxConns: 10})
	if err != nil {
		return err
	}
	defer pool.Close()
	end, err := start(ctx, pool, port, slog.New(slog.DiscardHandler), webhook.Options{})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	end()
	return err
}

func keyring() webhooks.Keyring {
	keys, err := webhooks.NewKeyring("a key that only tests have")
	if err != nil {
		panic(err)
	}
	return keys
}

// start works the queue of webhooks, with short pauses.
func start(ctx context.Context, pool *pgxpool.Pool, port uint16, logger *slog.Logger, opts webhook.Options) (end func(), err error) {
	var st *stores.Set
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueWebhooks: 4}, Metrics: ops.NewMetrics(), Logger: logger, Version: "test", Drain: time.Second,
	}, func(set *stores.Set, workers *river.Workers) {
		st = set
		opts.DB, opts.Log, opts.Webhooks, opts.Metrics, opts.Logger = set.DB, set.EventLog, set.Webhooks, ops.NewMetrics(), logger
		if !opts.Keys.Usable() {
			opts.Keys = keyring()
		}
		if opts.Guard == nil {
			opts.Guard = publicnet.New(publicnet.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, AllowPorts: []uint16{port}})
		}
		if opts.FirstPause == 0 {
			opts.FirstPause, opts.MostPause = 20*time.Millisecond, 100*time.Millisecond
		}
		webhook.New(opts).Register(workers)
	})
	if err != nil {
		return nil, err
	}
	if err := member.Start(ctx); err != nil {
		return nil, err
	}
	dispatcher := webhook.NewDispatcher(st.Webhooks, logger, 20*time.Millisecond)
	dispatcher.Start(ctx)
	return func() {
		_ = dispatcher.Stop(context.Background())
		_ = member.Stop(context.Background())
	}, nil
}

// fixture is a database, a workspace and a receiver.
type fixture struct {
	t        *testing.T
	db       *pgtest.DB
	owner    *pgxpool.Pool
	store    *stores.Set
	space    tenants.Workspace
	receiver *receiver
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Parallel()
	f := &fixture{t: t, db: pgtest.New(t), receiver: newReceiver(t)}
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: f.db.URL, MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	f.store = stores.New(pool, client)
	f.store.SetWorkspaces(f.db.LimitedPool(t))
	f.owner = f.db.OwnerPool(t)
	f.space, err = f.store.Tenants.CreateWorkspace(t.Context(), "alpha", 2)
	require.NoError(t, err)
	return f
}

// submission is a request without a key.
func (f *fixture) submission() store.Submission {
	return store.Submission{Workspace: f.space.ID, Route: "POST /test"}
}

// keep renders nothing, and keeps what was made.
func keep(hook *webhooks.Webhook, secret *string) webhooks.Render {
	return func(made webhooks.Webhook, shown string) (store.Response, error) {
		*hook, *secret = made, shown
		return store.Response{Status: 200}, nil
	}
}

// subscribe makes a webhook that posts to the receiver.
func (f *fixture) subscribe(settings webhooks.Settings) (webhooks.Webhook, string) {
	f.t.Helper()
	if settings.URL == "" {
		settings.URL = f.receiver.server.URL + "/hook"
	}
	var hook webhooks.Webhook
	var secret string
	_, err := f.store.Webhooks.Create(f.t.Context(), f.submission(), settings, keyring(), keep(&hook, &secret))
	require.NoError(f.t, err)
	f.receiver.trust(secret)
	return hook, secret
}

// work starts a worker of this process that runs until the test ends or it is stopped.
func (f *fixture) work(opts webhook.Options) (stop func()) {
	f.t.Helper()
	pool, err := store.OpenPool(f.t.Context(), store.PoolOptions{DatabaseURL: f.db.URL, MaxConns: 10})
	require.NoError(f.t, err)
	end, err := start(f.t.Context(), pool, f.receiver.port(), slog.New(slog.DiscardHandler), opts)
	require.NoError(f.t, err)
	stop = sync.OnceFunc(func() { end(); pool.Close() })
	f.t.Cleanup(stop)
	return stop
}

// process starts a worker process; kill ends it as the kernel would.
func (f *fixture) process() (kill func()) {
	child := f.child()
	return func() { f.end(child) }
}

// end kills a worker process, unless it is dead.
func (f *fixture) end(child *exec.Cmd) {
	_ = child.Process.Kill()
	_ = child.Wait()
}

// child starts a worker process, which ends with the test.
func (f *fixture) child() *exec.Cmd {
	f.t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+f.db.URL, fmt.Sprintf("%s=%d", portEnv, f.receiver.port()))
	child.Stderr = os.Stderr
	_, err := child.StdinPipe()
	require.NoError(f.t, err)
	require.NoError(f.t, child.Start())
	f.t.Cleanup(func() { f.end(child) })
	return child
}

const addEvents = `
	insert into event_log (workspace_id, topic, type, entity_id, payload)
	select $1, 'backtests', $2, $3 || '/' || n, jsonb_build_object('n', n) from generate_series(1, $4::int) n`

// happen writes events in one transaction.
func (f *fixture) happen(typ, entity string, n int) {
	f.t.Helper()
	_, err := f.owner.Exec(f.t.Context(), addEvents, f.space.ID, typ, entity, n)
	require.NoError(f.t, err)
}

// logged are the entities of the workspace's events of a topic, in the order of the log.
func (f *fixture) logged(topic string) (entities []string) {
	f.t.Helper()
	rows, err := f.owner.Query(f.t.Context(), `select entity_id from event_log where workspace_id = $1 and topic = $2 order by xid, id`, f.space.ID, topic)
	require.NoError(f.t, err)
	for rows.Next() {
		var entity string
		require.NoError(f.t, rows.Scan(&entity))
		entities = append(entities, entity)
	}
	require.NoError(f.t, rows.Err())
	return entities
}

func (f *fixture) hook(id uuid.UUID) webhooks.Webhook {
	f.t.Helper()
	hook, err := f.store.Webhooks.Get(f.t.Context(), f.space.ID, id)
	require.NoError(f.t, err)
	return hook
}

func (f *fixture) eventually(holds func() bool, what string) {
	f.t.Helper()
	require.Eventually(f.t, holds, patience, 10*time.Millisecond, what)
}

// got is one request that a receiver had.
type got struct {
	id, body string
	header   http.Header
	valid    int // secrets that its signature is of
}

// receiver takes messages as an application would: it verifies the signature with the scheme's own library and
// drops what it has had.
type receiver struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	hooks   []*standardwebhooks.Webhook
	all     []got
	seen    map[string]bool
	first   []got // without repeats
	answers func(w http.ResponseWriter, r *http.Request, nth int) bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, seen: map[string]bool{}}
	r.server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) port() uint16 {
	return netip.MustParseAddrPort(r.server.Listener.Addr().String()).Port()
}

func (r *receiver) trust(secret string) {
	hook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(r.t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = append(r.hooks, hook)
}

// answer has requests answered otherwise than with 204, those for which answers returns true.
func (r *receiver) answer(answers func(w http.ResponseWriter, req *http.Request, nth int) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = answers
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed
	}
	r.mu.Lock()
	g := got{id: req.Header.Get("webhook-id"), body: string(body), header: req.Header.Clone()}
	for _, hook := range r.hooks {
		if hook.Verify(body, req.Header) == nil {
			g.valid++
		}
	}
	r.all = append(r.all, g)
	answers, nth := r.answers, len(r.all)
	r.mu.Unlock()
	if answers != nil && answers(w, req, nth) {
		return
	}
	r.mu.Lock()
	if !r.seen[g.id] {
		r.seen[g.id] = true
		r.first = append(r.first, g)
	}
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// taken are the messages that were accepted, without repeats, and how many requests came.
func (r *receiver) taken() (first []got, requests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got{}, r.first...), len(r.all)
}

// count is how many messages were accepted, without repeats.
func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.first)
}

func (r *receiver) entities() (entities []string) {
	first, _ := r.taken()
	for _, g := range first {
		_, rest, _ := strings.Cut(g.body, `"entity_id":"`)
		entity, _, _ := strings.Cut(rest, `"`)
		entities = append(entities, entity)
	}
	return entities
}
