package chaos

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/migrations"
	"millrace/store"
	"millrace/store/localpg"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// settings of the database. A commit that was answered must outlive the server's processes, though
// not the machine: so it is written, but not flushed to disk.
var settings = map[string]string{"fsync": "off", "synchronous_commit": "on", "max_connections": "300"}

// deployment is a database and the ways to it.
type deployment struct {
	t      *testing.T
	binary string
	data   string
	listen string // addresses the database listens on; empty: 127.0.0.1

	mu      sync.Mutex // held while the database is being restarted
	cluster *localpg.Cluster

	direct  string // the superuser's URL, around the proxies
	proxies []*toxiproxy.Proxy
	owner   *pgxpool.Pool // sees and may do everything
	store   *stores.Set   // as an API process has it, without faults
}

func newDeployment(t *testing.T, options ...func(*deployment)) *deployment {
	t.Helper()
	s := &deployment{t: t, binary: build(t), data: filepath.Join(t.TempDir(), "pg")}
	for _, option := range options {
		option(s)
	}
	s.startDatabase()
	t.Cleanup(func() { _ = s.cluster.Stop(context.Background()) })
	s.direct = s.cluster.URL()
	require.NoError(t, migrations.Up(t.Context(), s.direct))
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for i := range 3 {
		proxy := toxiproxy.NewProxy(server, fmt.Sprint("way", i), "127.0.0.1:0", s.host())
		require.NoError(t, proxy.Start())
		t.Cleanup(proxy.Stop)
		s.proxies = append(s.proxies, proxy)
	}
	var err error
	s.owner, err = pgxpool.New(t.Context(), s.direct+"&pool_max_conns=8")
	require.NoError(t, err)
	t.Cleanup(s.owner.Close)
	s.store = s.newStore(s.direct)
	return s
}

// build makes the binary once for all tests of this process.
func build(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "millrace-chaos-"); built.err != nil {
			return
		}
		// Without symbols, which nobody reads here and which take their time to link.
		out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", built.dir, "millrace/cmd/millrace").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	require.NoError(t, built.err)
	return filepath.Join(built.dir, "millrace")
}

var built struct {
	once sync.Once
	dir  string // removed when all tests have ended
	err  error
}

func (s *deployment) newStore(url string) *stores.Set {
	s.t.Helper()
	pool, err := store.OpenPool(s.t.Context(), store.PoolOptions{DatabaseURL: url, MaxConns: 10})
	require.NoError(s.t, err)
	s.t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(s.t, err)
	return stores.New(pool, client)
}

func (s *deployment) settings() map[string]string {
	all := maps.Clone(settings)
	if s.listen != "" {
		all["listen_addresses"] = s.listen
	}
	return all
}

func (s *deployment) startDatabase() {
	s.t.Helper()
	cluster, err := localpg.Start(context.Background(), localpg.Options{DataDir: s.data, Settings: s.settings()})
	if err != nil {
		s.t.Errorf("the database does not start again: %v", err) // also from other goroutines
		return
	}
	s.cluster = cluster
}

// restartDatabase ends every session: kindly, after a checkpoint, or as a crash does.
func (s *deployment) restartDatabase(crash bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	if crash {
		cancel() // a stop without patience is an immediate shutdown, and a recovery at the start
	}
	_ = s.cluster.Stop(ctx)
	cancel()
	s.startDatabase()
}

func (s *deployment) host() string {
	u, err := url.Parse(s.direct)
	require.NoError(s.t, err)
	return u.Host
}

// through is the database's URL by one of the proxies.
func (s *deployment) through(way int) string {
	u, err := url.Parse(s.direct)
	require.NoError(s.t, err)
	u.Host = s.proxies[way%len(s.proxies)].Listen
	return u.String()
}

// insist asks the database until it answers: it may be away, or its pool's connections be those of
// before its restart. A question that is answered with another error than that has failed.
func (s *deployment) insist(what string, ask func(context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	err := ask(ctx)
	for store.Transient(err) && ctx.Err() == nil {
		<-time.After(100 * time.Millisecond)
		err = ask(ctx)
	}
	require.NoError(s.t, err, what)
}

// count reads one number.
func (s *deployment) count(sql string, args ...any) (n int) {
	s.t.Helper()
	s.insist(sql, func(ctx context.Context) error { return s.owner.QueryRow(ctx, sql, args...).Scan(&n) })
	return n
}

// capOfTenant is how many tunes a tenant may have running.
const capOfTenant = 2

// tenant makes a workspace that may do much, and a key to it.
func (s *deployment) tenant(name string) (tenants.Workspace, string) {
	s.t.Helper()
	w, err := s.store.Tenants.CreateWorkspace(s.t.Context(), name, capOfTenant)
	require.NoError(s.t, err)
	key, err := s.store.Tenants.CreateKey(s.t.Context(), w.ID, "chaos", tenants.RoleOwner)
	require.NoError(s.t, err)
	return w, key
}

// process is a child that is started again whenever it was killed.
type process struct {
	deployment *deployment
	command    func() *exec.Cmd
	mu         sync.Mutex
	cmd        *exec.Cmd
	log        *bytes.Buffer
	ended      chan struct{} // of cmd
	gone       bool          // for good
}

// run starts a process and keeps it running until the test ends.
func (s *deployment) run(env []string, name string, args ...string) *process {
	s.t.Helper()
	p := &process{deployment: s, command: func() *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), env...)
		return cmd
	}}
	require.NoError(s.t, p.start())
	s.t.Cleanup(func() {
		p.mu.Lock()
		p.gone = true
		p.mu.Unlock()
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
		<-p.ended // nothing starts it any more
		if s.t.Failed() {
			s.t.Logf("%s %v:\n…%s", filepath.Base(name), args, p.log.Bytes()[max(0, p.log.Len()-4000):])
		}
	})
	return p
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.runs() {
		return nil // a supervisor and a fault may both want it started
	}
	cmd := p.command()
	log, ended := &bytes.Buffer{}, make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.log, p.ended = cmd, log, ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return nil
}

// runs reports whether the process is there; the caller holds the lock.
func (p *process) runs() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(sig)
}

// replace ends the process by a signal and starts it again.
func (p *process) replace(sig syscall.Signal) {
	p.mu.Lock()
	ended := p.ended
	_ = p.cmd.Process.Signal(sig)
	p.mu.Unlock()
	<-ended
	if err := p.start(); err != nil {
		p.deployment.t.Errorf("start again: %v", err)
	}
}

// revive starts the process if it has ended by itself, as it does when the database is away at its
// start; a supervisor would.
func (p *process) revive() {
	if err := p.start(); err != nil {
		p.deployment.t.Errorf("start again: %v", err)
	}
}

// server is an API process and its address.
type server struct {
	*process
	url string
}

// serve starts an API process on a port that it keeps over restarts, without limits but those given.
func (s *deployment) serve(way int, limits ...string) *server {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	address := listener.Addr().String()
	require.NoError(s.t, listener.Close())
	env := append([]string{"DATABASE_URL=" + s.through(way), "ADMIN_TOKEN=" + adminToken, "LIMIT_SUBMISSIONS=0", "LIMIT_QUEUE_DEPTH=0", "LIMIT_UPLOADS=0"}, limits...)
	p := s.run(env, s.binary, "api", "--addr", address)
	api := &server{process: p, url: "http://" + address}
	require.Eventually(s.t, api.up, 30*time.Second, 20*time.Millisecond, "the API does not come up")
	return api
}

const adminToken = "chaos-chaos-chaos-chaos-chaos-chaos"

func (a *server) up() bool {
	resp, err := (&http.Client{Timeout: time.Second}).Get(a.url + "/healthz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// supervise starts processes again that have ended by themselves, until ctx ends.
func supervise(ctx context.Context, processes ...*process) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, p := range processes {
				p.revive()
			}
		}
	}
}
