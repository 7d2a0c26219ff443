package main

import (
	"context"
	"fmt"
	"time"

	"millrace/api/client"
	"millrace/api/types"
)

// workspaceReembedCmd is the verb `admin workspace reembed`.
type workspaceReembedCmd struct {
	adminFlags
	Workspace string `arg:"" help:"Name or id of the workspace."`
	To        string `placeholder:"PROVIDER" help:"Embedder to move to: hash, or the one the server is set up with (by default)."`
	Key       string `placeholder:"KEY" help:"Idempotency key; by default a new one for each run."`
	Detach    bool   `help:"Print the move's id, without waiting."`
}

// Run starts the move and follows it. An interrupt leaves the move alone.
func (c *workspaceReembedCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	workspace, err := workspaceID(ctx, api, c.Workspace)
	if err != nil {
		return err
	}
	move, err := api.Reembed(ctx, workspace, c.Key, types.ReembedRequest{Provider: c.To})
	if err != nil {
		return err
	}
	if c.Detach {
		_, err := fmt.Fprintln(env.stdout, move.ReembedID)
		return err
	}
	return followReembed(ctx, env, api, move)
}

func followReembed(ctx context.Context, env *environment, api *client.Client, move *types.Reembed) error {
	for shown := -1; ; {
		if move.Done != shown {
			shown = move.Done
			fmt.Fprintf(env.stderr, "%d of %s embedded with %s\n", move.Done, counted(move.Total, "chunk"), printable(move.Model))
		}
		switch move.Status {
		case "completed":
			_, err := fmt.Fprintf(env.stdout, "moved to %s: %s\n", printable(move.Model), counted(move.Done, "chunk"))
			return err
		case "failed":
			reason := "no reason given"
			if move.Reason != nil {
				reason = *move.Reason
			}
			return fmt.Errorf("the move failed: %s", printable(reason))
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		var err error
		if move, err = api.ReembedState(ctx, move.ReembedID); err != nil {
			return err
		}
	}
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
