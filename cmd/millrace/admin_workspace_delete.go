package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"millrace/api/types"
)

// workspaceDeleteCmd is the verb `admin workspace delete`.
type workspaceDeleteCmd struct {
	adminFlags
	Workspace string        `arg:"" help:"Name or id of the workspace."`
	DryRun    bool          `help:"Print what it has, and delete nothing."`
	Confirm   string        `placeholder:"NAME" help:"The workspace's name: without it nothing is deleted."`
	Wait      time.Duration `help:"Wait so long at most until its last row is gone."`
}

// Run deletes it.
func (c *workspaceDeleteCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	id, err := workspaceID(ctx, api, c.Workspace)
	if err != nil {
		return err
	}
	d, err := api.DeleteWorkspace(ctx, id, c.Confirm, c.DryRun)
	if err != nil {
		return err
	}
	for end := time.Now().Add(c.Wait); !d.DryRun && !d.Status.Ended() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if d, err = api.WorkspaceDeletion(ctx, id); err != nil {
			return err
		}
	}
	return printWorkspaceDeletion(env.stdout, d)
}

func printWorkspaceDeletion(w io.Writer, d *types.WorkspaceDeletion) error {
	if !d.DryRun {
		fmt.Fprintf(w, "deleted %s (%s); %d rows are gone, the deletion is %s\n", d.Name, d.WorkspaceID, d.RowsDeleted, d.Status)
		if d.Error != "" {
			return errors.New(d.Error)
		}
		return nil
	}
	fmt.Fprintf(w, "%s (%s) has, and would lose for good:\n", d.Name, d.WorkspaceID)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"kind", "count", "rows", "bytes"})
	for _, kind := range d.Contents {
		writeRow(out, []string{kind.Kind, strconv.FormatInt(kind.Count, 10), strconv.FormatInt(kind.Rows, 10), strconv.FormatInt(kind.Bytes, 10)})
	}
	writeRow(out, []string{"total", "", strconv.FormatInt(d.TotalRows, 10), strconv.FormatInt(d.TotalBytes, 10)})
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d jobs have not ended and would be cancelled\nsend --confirm %q to delete it\n", d.ActiveJobs, d.Name)
	return err
}
