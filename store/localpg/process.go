package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"millrace/ops/routine"
)

// process is the server's first process, the postmaster.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
	err  error         // how it exited; read after done
}

// startProcess starts cmd and reaps it. The thread that starts it is kept until it exits, because
// the kernel sends the parent-death signal when that thread ends, not when the process does.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	routine.Go(func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return err
		}
		return cmd.Wait()
	}, func(err error) {
		p.err = err
		close(p.done)
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return p, nil
}

// result says how the process ended; call it after done.
func (p *process) result() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// stop ends the process: SIGINT ends sessions and writes a checkpoint; once ctx is done SIGQUIT
// and then SIGKILL end it at once, and forced is true.
func (p *process) stop(ctx context.Context) (forced bool, err error) {
	return stopPID(ctx, p.cmd.Process.Signal, p.done)
}

func stopPID(ctx context.Context, send func(os.Signal) error, done <-chan struct{}) (forced bool, err error) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := send(sig); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
			return forced, fmt.Errorf("send %v: %w", sig, err)
		}
		select {
		case <-done:
			return forced, nil
		case <-ctx.Done():
		}
		if forced {
			select {
			case <-done:
				return forced, nil
			case <-time.After(stopGrace):
			}
		}
		forced = true
	}
	return forced, errors.New("postgres is still running after SIGKILL")
}

// stopLeftover ends a server that outlived the process that started it, and removes the lock file
// of one that is gone when its process id belongs to something else by now: Postgres itself
// believes any living process with that id.
func stopLeftover(ctx context.Context, pgdata string, logger *slog.Logger) error {
	lockFile := filepath.Join(pgdata, "postmaster.pid")
	text, err := os.ReadFile(lockFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read lock file: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 || !alive(pid) {
		return nil
	}
	if !servesFolder(pid, pgdata) {
		logger.Info("removing a stale lock file", "file", lockFile, "pid", pid)
		if err := os.Remove(lockFile); err != nil {
			return fmt.Errorf("remove stale lock file: %w", err)
		}
		return nil
	}
	logger.Info("stopping the postgres that an earlier process left running", "pid", pid)
	ctx, cancel := context.WithTimeout(ctx, 2*stopGrace)
	defer cancel()
	done := make(chan struct{})
	routine.Go(func() error {
		for alive(pid) && servesFolder(pid, pgdata) {
			if err := pause(context.WithoutCancel(ctx), poll); err != nil {
				return err
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			logger.Warn("watching the earlier postgres failed", "pid", pid, "error", err)
		}
		close(done)
	})
	send := func(sig os.Signal) error { return syscall.Kill(pid, sig.(syscall.Signal)) }
	if _, err := stopPID(ctx, send, done); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	return nil
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// servesFolder reports whether the process is a server on this cluster: its command line names
// the folder. A zombie has no command line, so it is not a server.
func servesFolder(pid int, pgdata string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		line, err = exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	}
	return err == nil && strings.Contains(string(line), "postgres") && strings.Contains(string(line), pgdata)
}
