package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"millrace/ops/routine"
	"millrace/store/localpg"
)

// postgresCmd is the verb `postgres`: a Postgres for the length of one command.
type postgresCmd struct {
	Data    string   `help:"Folder of a cluster to keep; without it, a throwaway is used."`
	Command []string `arg:"" passthrough:"" help:"Command to run, with DATABASE_URL and MILLRACE_TEST_DATABASE_URL set."`
}

// exitStatus is the status of a command run for the user, to exit with.
type exitStatus int

func (exitStatus) Error() string { return "the command failed" }

// Run starts the cluster, runs the command and stops the cluster.
func (c *postgresCmd) Run(ctx context.Context, env *environment) (err error) {
	args := c.Command
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return configError{errors.New("name a command to run: millrace postgres -- CMD")}
	}
	cluster, err := localpg.Start(ctx, localpg.Options{
		DataDir: c.Data, Throwaway: c.Data == "", Logger: env.logger,
		Settings: map[string]string{"max_connections": "400", "max_prepared_transactions": "20"},
	})
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		err = errors.Join(err, cluster.Stop(stop))
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	routine.Go(func() error {
		select {
		case <-cluster.Done():
			return cluster.Ended()
		case <-ctx.Done():
			return nil
		}
	}, cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, env.stdout, env.stderr
	cmd.Env = append(os.Environ(), "DATABASE_URL="+cluster.URL(), "MILLRACE_TEST_DATABASE_URL="+cluster.URL())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	select {
	case <-cluster.Done():
		return cluster.Ended()
	default:
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) && failed.ExitCode() > 0 {
		return exitStatus(failed.ExitCode())
	}
	return err
}
