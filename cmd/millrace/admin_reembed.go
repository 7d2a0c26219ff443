package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// workspaceReembedCmd is the verb `admin workspace reembed`.
type workspaceReembedCmd struct {
	adminFlags
	Workspace string `arg:"" help:"Name or id of the workspace."`
	To        string `placeholder:"PROVIDER" help:"Embedder to move to: hash, or the one the server is set up with (by default)."`
	Key       string `placeholder:"KEY" help:"Idempotency key; by default a new one for each run."`
	Detach    bool   `help:"Print the move's id, without waiting."`
}

// reembedState is a move as the API shows it.
type reembedState struct {
	ID     string  `json:"reembed_id"`
	Status string  `json:"status"`
	Model  string  `json:"model"`
	Reason *string `json:"reason"`
	Done   int     `json:"done"`
	Total  int     `json:"total"`
}

// Run starts the move and follows it. An interrupt leaves the move alone.
func (c *workspaceReembedCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	path, err := api.workspacePath(ctx, c.Workspace)
	if err != nil {
		return err
	}
	key := c.Key
	if key == "" {
		key = uuid.NewString()
	}
	raw, err := api.post(ctx, path+"/reembed", key, map[string]string{"provider": c.To})
	if err != nil {
		return err
	}
	var move reembedState
	if err := json.Unmarshal(raw, &move); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if c.Detach {
		_, err := fmt.Fprintln(env.stdout, move.ID)
		return err
	}
	return api.followReembed(ctx, env, move)
}

func (c *client) followReembed(ctx context.Context, env *environment, move reembedState) error {
	for shown := -1; ; {
		if move.Done != shown {
			shown = move.Done
			fmt.Fprintf(env.stderr, "%d of %d chunks embedded with %s\n", move.Done, move.Total, printable(move.Model))
		}
		switch move.Status {
		case "completed":
			_, err := fmt.Fprintf(env.stdout, "moved to %s: %d chunks\n", printable(move.Model), move.Done)
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
		raw, err := c.get(ctx, "/admin/reembeds/"+move.ID)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &move); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
	}
}
