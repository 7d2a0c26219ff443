package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/alecthomas/kong"

	"millrace/ops/routine"
)

// reloadFlags say what SIGHUP reads again beside the files of secrets.
type reloadFlags struct {
	Reload string `placeholder:"FILE" env:"MILLRACE_RELOAD" help:"File of NAME=VALUE lines that SIGHUP reads, for MILLRACE_LOG and ADMIN_TOKEN; what else it changes is named in the log and asks for a restart."`
}

// check is whether the file can be read.
func (f reloadFlags) check() error {
	if f.Reload == "" {
		return nil
	}
	if _, err := readEnvFile(f.Reload); err != nil {
		return fmt.Errorf("--reload (MILLRACE_RELOAD): %w", err)
	}
	return nil
}

// hangups are what SIGHUP does: it stops the process, as SIGTERM does, until a server has something to reload.
type hangups struct{ reload atomic.Pointer[func()] }

type hangupsKey struct{}

// withHangups returns a context that ends with the first of SIGINT, SIGTERM and, while nothing is to be reloaded, SIGHUP.
func withHangups(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	h, signals := &hangups{}, make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	routine.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-signals:
			}
			if reload := h.reload.Load(); reload != nil {
				(*reload)()
				continue
			}
			stop()
		}
	}, func(err error) {
		if err != nil {
			stop()
		}
	})
	return context.WithValue(ctx, hangupsKey{}, h), stop
}

// onHangup has SIGHUP call reload from now on.
func onHangup(ctx context.Context, reload func()) {
	if h, ok := ctx.Value(hangupsKey{}).(*hangups); ok {
		h.reload.Store(&reload)
	}
}

// reloader reads again what can be replaced while the process runs.
type reloader struct {
	env    *environment
	file   string // of reloadFlags
	lookup func(string) (string, bool)
	all    []setting

	mu      sync.Mutex
	token   string              // ADMIN_TOKEN as it is now
	onToken []func(string)      // are given a new one
	files   []ownFiles          // read again by themselves
	secrets map[string][32]byte // of secrets that come from files, as the process has them
}

// newReloader notes what the process has begun with.
func newReloader(env *environment, parsed *kong.Kong, file, token string) *reloader {
	r := &reloader{env: env, file: file, lookup: os.LookupEnv, all: settings(parsed.Model.Node), token: token}
	r.secrets, _, _ = r.readSecrets()
	return r
}

// adminToken is the value now.
func (r *reloader) adminToken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.token
}

// follow has set called with every new ADMIN_TOKEN.
func (r *reloader) follow(set func(string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onToken = append(r.onToken, set)
}

// ownFiles are files that a setting names and its user reads again, reporting whether they are others.
type ownFiles struct {
	setting string
	reload  func() (changed bool, err error)
}

// also has reload called with every SIGHUP, for files that a setting names.
func (r *reloader) also(setting string, reload func() (bool, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = append(r.files, ownFiles{setting, reload})
}

// readSecrets are the digests of the secrets that files have, and ADMIN_TOKEN if one has it.
func (r *reloader) readSecrets() (digests map[string][32]byte, token string, err error) {
	digests = map[string][32]byte{}
	var faults []error
	for _, s := range r.all {
		value, from, err := secretFiles{r.lookup}.read(s.Variable)
		if err != nil {
			faults = append(faults, err)
		}
		if from == "" {
			continue
		}
		digests[s.Variable] = sha256.Sum256([]byte(value))
		if s.Variable == "ADMIN_TOKEN" {
			token = value
		}
	}
	return digests, token, errors.Join(faults...)
}

// run reloads, and says what: everything that is new, or on a mistake nothing.
func (r *reloader) run() {
	r.mu.Lock()
	defer r.mu.Unlock()
	logger := r.env.logger
	level, token, restart, err := r.read()
	if err != nil {
		logger.Error("nothing was reloaded", "error", err)
		return
	}
	var reloaded []string
	if level != nil && *level != r.env.level.Level() {
		r.env.level.Set(*level)
		reloaded = append(reloaded, "MILLRACE_LOG")
	}
	if token != "" && token != r.token {
		r.token = token
		for _, set := range r.onToken {
			set(token)
		}
		reloaded = append(reloaded, "ADMIN_TOKEN")
	}
	for _, f := range r.files {
		if changed, err := f.reload(); err == nil && changed { // else it has logged why
			reloaded = append(reloaded, f.setting)
		}
	}
	logger.Warn("reloaded", slog.String("settings", strings.Join(reloaded, " ")), slog.String("need_a_restart", strings.Join(restart, " ")))
}

// read is what the files say now, and which changes need a restart.
func (r *reloader) read() (level *slog.Level, token string, restart []string, err error) {
	digests, token, err := r.readSecrets()
	if err != nil {
		return nil, "", nil, err
	}
	for name, digest := range digests {
		if name != "ADMIN_TOKEN" && digest != r.secrets[name] {
			restart = append(restart, name)
		}
	}
	if r.file != "" {
		values, err := readEnvFile(r.file)
		if err != nil {
			return nil, "", nil, fmt.Errorf("MILLRACE_RELOAD: %w", err)
		}
		for name, value := range values {
			switch {
			case name == "MILLRACE_LOG":
				level = new(slog.Level)
				if level.UnmarshalText([]byte(value)) != nil {
					return nil, "", nil, errors.New("MILLRACE_LOG must be debug, info, warn or error")
				}
			case name == "ADMIN_TOKEN" && token == "":
				token = value
			default:
				if had, _ := r.lookup(name); had != value && slices.ContainsFunc(r.all, func(s setting) bool { return s.Variable == name }) {
					restart = append(restart, name)
				}
			}
		}
	}
	slices.Sort(restart)
	return level, token, restart, checkToken(token, r.env.profile)
}
