package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	Reload string `placeholder:"FILE" env:"MILLRACE_RELOAD" help:"File of NAME=VALUE lines that SIGHUP reads, for MILLRACE_LOG, ADMIN_TOKEN and OIDC_CLIENT_SECRET; what else it changes is named in the log and asks for a restart."`
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
	now     map[string]string         // secrets that can be replaced, as they are now
	on      map[string][]func(string) // are given a new one
	files   []ownFiles                // read again by themselves
	secrets map[string][32]byte       // of secrets that come from files, as the process has them
}

// newReloader notes what the process of a verb has begun with. What the verb does not read is not looked at.
func newReloader(env *environment, parsed *kong.Kong, verb, file, token string) *reloader {
	own := slices.DeleteFunc(settings(parsed.Model.Node), func(s setting) bool {
		return !slices.Contains(s.Verbs, verb) && !slices.Contains(s.Verbs, "all")
	})
	r := &reloader{
		env: env, file: file, lookup: os.LookupEnv, all: own,
		now: map[string]string{"ADMIN_TOKEN": token}, on: map[string][]func(string){},
	}
	r.secrets, _, _ = r.readSecrets()
	return r
}

// adminToken is ADMIN_TOKEN as it is now.
func (r *reloader) adminToken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now["ADMIN_TOKEN"]
}

// follow has set called with every new value of a secret, which is now this one.
func (r *reloader) follow(variable, now string, set func(string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now[variable] = now
	r.on[variable] = append(r.on[variable], set)
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

// readSecrets are the digests of the secrets that files have, and the values of those that can be replaced.
func (r *reloader) readSecrets() (digests map[string][32]byte, values map[string]string, err error) {
	digests, values = map[string][32]byte{}, map[string]string{}
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
		if _, replaced := r.now[s.Variable]; replaced {
			values[s.Variable] = value
		}
	}
	return digests, values, errors.Join(faults...)
}

// run reloads, and says what: everything that is new, or on a mistake nothing.
func (r *reloader) run() {
	r.mu.Lock()
	defer r.mu.Unlock()
	logger := r.env.logger
	level, secrets, restart, err := r.read()
	if err != nil {
		logger.Error("nothing was reloaded", "error", err)
		return
	}
	var reloaded []string
	if level != nil && *level != r.env.level.Level() {
		r.env.level.Set(*level)
		reloaded = append(reloaded, "MILLRACE_LOG")
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if value := secrets[name]; value != "" && value != r.now[name] {
			r.now[name] = value
			for _, set := range r.on[name] {
				set(value)
			}
			reloaded = append(reloaded, name)
		}
	}
	for _, f := range r.files {
		if changed, err := f.reload(); err == nil && changed { // else it has logged why
			reloaded = append(reloaded, f.setting)
		}
	}
	logger.Warn("reloaded", slog.String("settings", strings.Join(reloaded, " ")), slog.String("need_a_restart", strings.Join(restart, " ")))
}

// read is what the files say now, and which changes need a restart.
func (r *reloader) read() (level *slog.Level, secrets map[string]string, restart []string, err error) {
	digests, secrets, err := r.readSecrets()
	if err != nil {
		return nil, nil, nil, err
	}
	for name, digest := range digests {
		if _, replaced := r.now[name]; !replaced && digest != r.secrets[name] {
			restart = append(restart, name)
		}
	}
	if r.file != "" {
		values, err := readEnvFile(r.file)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("MILLRACE_RELOAD: %w", err)
		}
		for name, value := range values {
			_, replaced := r.now[name]
			switch {
			case name == "MILLRACE_LOG":
				level = new(slog.Level)
				if level.UnmarshalText([]byte(value)) != nil {
					return nil, nil, nil, errors.New("MILLRACE_LOG must be debug, info, warn or error")
				}
			case replaced && secrets[name] == "":
				secrets[name] = value
			default:
				if had, _ := r.lookup(name); had != value && slices.ContainsFunc(r.all, func(s setting) bool { return s.Variable == name }) {
					restart = append(restart, name)
				}
			}
		}
	}
	slices.Sort(restart)
	return level, secrets, restart, checkToken(secrets["ADMIN_TOKEN"], r.env.profile)
}
