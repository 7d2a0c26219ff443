package recognize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"millrace/ops/routine"
)

// Verb is the argument by which this program is the parent of a program that recognises text.
const Verb = "recognize-child"

// IsChild reports whether a process with these arguments is such a parent.
func IsChild(args []string) bool { return len(args) > 1 && args[1] == Verb }

// lifeline is the descriptor that ends when the worker does, or gives up.
const lifeline = 3

// Main stands between a worker and the program: the arguments are the program's folder, the program and its arguments. When the
// worker dies, which could not end the program any more, it kills the program and removes the folder. It ends as the program
// ended, after it has killed what the program left running. Standard input and output are the program's.
func Main(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "recognize: a folder and a program are required")
		return 2
	}
	runtime.LockOSThread() // the program dies with the thread that started it
	if err := adopt(); err != nil {
		fmt.Fprintln(os.Stderr, "recognize:", err)
		return 2
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.SysProcAttr = os.Stdin, os.Stdout, ownGroup()
	line := os.NewFile(lifeline, "lifeline")
	syscall.CloseOnExec(lifeline)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "recognize:", err)
		return notStarted
	}
	gone := make(chan struct{})
	routine.Go(func() error {
		_, _ = io.Copy(io.Discard, line)
		close(gone)
		killAll(cmd.Process.Pid)
		_ = os.RemoveAll(args[0])
		os.Exit(1)
		return nil
	}, func(error) {})
	err := cmd.Wait()
	select {
	case <-gone:
		select {} // the other end removes the folder, and exits
	default:
	}
	killAll(cmd.Process.Pid)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	}
	return wasKilled
}

// Statuses of Main that are not the program's own, for which a file is not to blame. Programs hardly use them.
const (
	notStarted = 251
	wasKilled  = 252
)

// killAll kills the program's group, and what it left running elsewhere, until nothing is left.
func killAll(group int) {
	const most = 5 * time.Second
	_ = syscall.Kill(-group, syscall.SIGKILL)
	for end := time.Now().Add(most); time.Now().Before(end) && killAdopted(); {
		time.Sleep(time.Millisecond)
	}
}

// command is the program behind a parent of its own, which sees to its end whatever becomes of this process. It has nothing of
// this process's settings: those hold secrets.
func (p *Program) command(ctx context.Context, dir string, in io.Reader, out io.Writer) (cmd *exec.Cmd, done func(), err error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open a pipe for text recognition: %w", err)
	}
	cmd = exec.CommandContext(ctx, p.opts.Parent[0], append(append(p.opts.Parent[1:len(p.opts.Parent):len(p.opts.Parent)], dir, p.path), p.args...)...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = dir, in, out, []*os.File{theirs}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = ours.Close
	cmd.WaitDelay = 10 * time.Second
	return cmd, func() { _, _ = theirs.Close(), ours.Close() }, nil
}
