// Package localpg runs a private Postgres for development and tests: it finds or downloads the
// server's programs, keeps one cluster in a folder, and takes the server down with the process.
//
// The server listens on a loopback port only and asks every client for a password, which is kept
// in the folder, readable by its owner alone. Postgres refuses to run as root, so a process that
// does runs the server as the folder's owner or, for a new folder, as postgres or nobody.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/store/session"
)

const (
	// owner is the superuser and the database that Start makes.
	owner = "millrace"

	stopGrace  = 5 * time.Second // between each harsher way of stopping
	poll       = 20 * time.Millisecond
	retryFor   = 15 * time.Second // how long remains of a killed server may be in the way
	reportSlow = 5 * time.Second
)

// ErrInUse says that another process runs the cluster in this folder.
var ErrInUse = errors.New("data folder is in use")

// Options configure Start.
type Options struct {
	DataDir  string            // holds the cluster; made when missing; empty only for a throwaway
	BinDir   string            // the server's programs; empty: found on the machine, else downloaded
	Port     int               // 0: the port of the last start if it is free, else any free one
	Logger   *slog.Logger      // nil: nothing is logged
	Settings map[string]string // server settings that override ours, e.g. "work_mem": "64MB"

	// Throwaway is for tests: nothing is flushed to disk, and Stop deletes the folder.
	Throwaway bool
	// Temporary is Throwaway of a server that flushes to disk as any other does.
	Temporary bool
}

func (o Options) temporary() bool { return o.Throwaway || o.Temporary }

// Cluster is a running server. Its methods are safe for concurrent use.
type Cluster struct {
	dir       *dir
	port      int
	logger    *slog.Logger
	proc      *process
	temporary bool // Stop deletes the folder
	throwaway bool // nothing is flushed

	stopMu  sync.Mutex
	stopped bool
	stopErr error
}

// Start runs the cluster in opts.DataDir, making it first if there is none, and returns when it
// accepts connections. What a killed predecessor left behind is cleared: a server still running
// is stopped, and a stale lock does no harm. Throwaway clusters of killed processes are removed. It returns ErrInUse while another process has it.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	clearLeftovers(ctx, logger)
	path, err := dataDir(opts)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	d, err := openDir(path)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	var c *Cluster
	if opts.temporary() {
		err = d.mark()
	} else {
		err = d.unmark()
	}
	if err == nil {
		c, err = start(ctx, d, opts, logger)
	}
	if err != nil {
		if opts.temporary() {
			err = errors.Join(err, d.remove())
		}
		d.close()
		return nil, fmt.Errorf("start postgres in %s: %w", d.root, err)
	}
	return c, nil
}

// IsURLOf reports whether a URL is one that a cluster in dataDir had, at this or an earlier start: the port
// changes, the password does not.
func IsURLOf(dataDir, databaseURL string) bool {
	u, err := url.Parse(databaseURL)
	if err != nil || u.User == nil {
		return false
	}
	kept, err := os.ReadFile(filepath.Join(dataDir, "password"))
	password, _ := u.User.Password()
	return err == nil && password != "" && password == strings.TrimSpace(string(kept))
}

func dataDir(opts Options) (string, error) {
	switch {
	case opts.DataDir != "":
		return opts.DataDir, nil
	case opts.Throwaway:
		return os.MkdirTemp("", throwawayName)
	}
	return "", errors.New("no data folder given")
}

func start(ctx context.Context, d *dir, opts Options, logger *slog.Logger) (*Cluster, error) {
	began := time.Now()
	bin, err := binaries(ctx, d, opts.BinDir, logger)
	if err != nil {
		return nil, err
	}
	if err := stopLeftover(ctx, d.pgdata(), logger); err != nil {
		return nil, err
	}
	if err := initialize(ctx, d, bin, opts.Throwaway); err != nil {
		return nil, err
	}
	c := &Cluster{dir: d, logger: logger, temporary: opts.temporary(), throwaway: opts.Throwaway}
	if err := c.launch(ctx, bin, opts); err != nil {
		return nil, err
	}
	if err := c.ensureDatabase(ctx); err != nil {
		return nil, errors.Join(err, c.kill(ctx))
	}
	logger.Info("postgres is ready", "port", c.port, "programs", bin, "data", d.root,
		"took", time.Since(began).Round(time.Millisecond))
	return c, nil
}

// URL is where the cluster's database is reached, with the superuser's login.
func (c *Cluster) URL() string { return c.url(owner) }

func (c *Cluster) url(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(owner, c.dir.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Done is closed when the server has ended, asked to or not.
func (c *Cluster) Done() <-chan struct{} { return c.proc.done }

// Ended says that and how the server has ended, and where it may have said why. Call it after Done.
func (c *Cluster) Ended() error {
	return fmt.Errorf("postgres has ended, though nobody asked it to (%w): see %s", c.proc.result(), c.dir.path("postgres.log"))
}

// Stop ends the sessions, writes a checkpoint and waits for the server to exit. When ctx ends
// first the server is killed, which the next start recovers from; that is an error. Stop may be
// called again; each call returns the first one's result.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stopMu.Lock()
	defer c.stopMu.Unlock()
	if c.stopped {
		return c.stopErr
	}
	c.stopped = true
	c.stopErr = c.kill(ctx)
	if c.temporary {
		c.stopErr = errors.Join(c.stopErr, c.dir.remove())
	}
	c.dir.close()
	return c.stopErr
}

func (c *Cluster) kill(ctx context.Context) error {
	forced, err := c.proc.stop(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("stop postgres: %w", err)
	case forced:
		return fmt.Errorf("stop postgres: it was killed, having not stopped in time: %w", context.Cause(ctx))
	}
	return nil
}

// launch starts the server, again while a port or the memory of a killed server is in its way.
func (c *Cluster) launch(ctx context.Context, bin string, opts Options) error {
	giveUp := time.Now().Add(retryFor)
	for {
		port, err := c.dir.choosePort(opts.Port)
		if err != nil {
			return err
		}
		c.port = port
		err = c.launchOnce(ctx, bin, opts.Settings)
		if err == nil {
			return c.dir.savePort(port)
		}
		portTaken := strings.Contains(err.Error(), "could not bind") && opts.Port == 0
		remains := strings.Contains(err.Error(), "is still in use") || strings.Contains(err.Error(), "could not bind")
		if time.Now().After(giveUp) || !portTaken && !remains {
			return err
		}
		if err := pause(ctx, 10*poll); err != nil {
			return err
		}
	}
}

func (c *Cluster) launchOnce(ctx context.Context, bin string, settings map[string]string) error {
	log, from, err := c.dir.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(bin+"/postgres", c.serverArgs(settings)...)
	cmd.Stderr, cmd.Stdout = log, log
	c.dir.prepare(cmd)
	if c.proc, err = startProcess(cmd); err != nil {
		return err
	}
	if err := c.awaitReady(ctx); err != nil {
		_, stopErr := c.proc.stop(ctx)
		return errors.Join(fmt.Errorf("%w\n%s", err, c.dir.logTail(from)), stopErr)
	}
	return nil
}

// serverArgs are the server's arguments: small-machine defaults, then the caller's settings.
func (c *Cluster) serverArgs(settings map[string]string) []string {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"max_connections":         "200",
		"shared_buffers":          "128MB",
		"max_wal_size":            "2GB",
		"jit":                     "off", // compiling costs more than these short queries take
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"log_min_messages":        "warning",
		"log_checkpoints":         "off",
	}
	if c.throwaway {
		maps.Copy(all, map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
	}
	maps.Copy(all, settings)
	args := []string{"-D", c.dir.pgdata(), "-p", strconv.Itoa(c.port)}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}

// awaitReady waits for the server to accept a login. Recovery after a crash takes as long as it
// takes, so only ctx or the server's end gives up.
func (c *Cluster) awaitReady(ctx context.Context) error {
	slow := time.NewTicker(reportSlow)
	defer slow.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		conn, err := c.connect(ctx, "postgres")
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres (%v): %w", err, ctx.Err())
		case <-c.proc.done:
			return fmt.Errorf("postgres ended while starting: %w", c.proc.result())
		case <-slow.C:
			c.logger.Info("postgres is still starting", "reason", err)
		case <-tick.C:
		}
	}
}

func (c *Cluster) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return session.Connect(ctx, c.url(database), session.Schema())
}

func (c *Cluster) ensureDatabase(ctx context.Context) error {
	conn, err := c.connect(ctx, "postgres")
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", owner).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.Exec(ctx, "create database "+owner)
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", owner, err)
	}
	return nil
}

// initialize makes the cluster under another name first, so that one found is complete.
func initialize(ctx context.Context, d *dir, bin string, throwaway bool) error {
	if _, err := os.Stat(d.pgdata()); err == nil {
		return nil
	}
	building := d.pgdata() + ".new"
	if err := os.RemoveAll(building); err != nil {
		return fmt.Errorf("clear unfinished cluster: %w", err)
	}
	runtime.LockOSThread() // see startProcess
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, bin+"/initdb", "--pgdata="+building, "--username="+owner, "--pwfile="+d.path("password"),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale="+locale(), "--lc-messages=C", "--no-instructions")
	if throwaway {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	d.prepare(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := os.Rename(building, d.pgdata()); err != nil {
		return fmt.Errorf("keep new cluster: %w", err)
	}
	return nil
}

func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
