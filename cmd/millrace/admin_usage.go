package main

import (
	"context"
	"strconv"
	"text/tabwriter"
)

// workspaceUsageCmd is the verb `admin workspace usage`.
type workspaceUsageCmd struct {
	adminFlags
	Workspace string `arg:"" help:"Name or id of the workspace."`
}

// Run prints what quotas limit, how much of it the workspace has, and the quotas.
func (c *workspaceUsageCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	id, err := workspaceID(ctx, api, c.Workspace)
	if err != nil {
		return err
	}
	w, err := api.Workspace(ctx, id)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"what", "used", "quota"})
	for _, row := range []struct {
		what  string
		used  int64
		quota *int
	}{
		{"trials today", w.Usage.TrialsToday, w.Limits.TrialsPerDay},
		{"bytes", w.Usage.Bytes, w.Limits.Bytes},
		{"datasets", w.Usage.Datasets, w.Limits.Datasets},
		{"documents", w.Usage.Documents, w.Limits.Documents},
	} {
		writeRow(out, []string{row.what, strconv.FormatInt(row.used, 10), orDash(row.quota)})
	}
	return out.Flush()
}
