package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"millrace/api/client"
	"millrace/api/types"
)

// deleteCmd is the verb `delete`.
type deleteCmd struct {
	clientFlags
	Cascade     bool   `help:"Delete what depends on it too, and cancel what has not ended; needs a key of an admin."`
	DryRun      bool   `help:"Print what would be deleted, and delete nothing."`
	AllVersions bool   `help:"Of a dataset: every version of the name."`
	Kind        string `arg:"" enum:"tune,wfo,plan,run,dataset,document,strategy" help:"What it is: tune, wfo, plan, run, dataset, document or strategy."`
	ID          string `arg:"" help:"Its id; of a dataset also NAME or NAME@N."`
}

// kindOf is the API's word for a kind of the command line.
func kindOf(word string) string {
	if word == "plan" {
		return "run_plan"
	}
	return word
}

// Run deletes one thing.
func (c *deleteCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	d, err := api.Delete(ctx, kindOf(c.Kind), c.ID, client.DeleteOptions{Cascade: c.Cascade, DryRun: c.DryRun, AllVersions: c.AllVersions})
	if err != nil {
		return err
	}
	return printDeletion(env.stdout, d)
}

func printDeletion(w io.Writer, d *types.Deletion) error {
	switch {
	case d.DryRun:
		var counts []string
		for _, kind := range slices.Sorted(maps.Keys(d.Deletes)) {
			counts = append(counts, fmt.Sprintf("%d %s", d.Deletes[kind], kind))
		}
		fmt.Fprintln(w, "would delete:", strings.Join(counts, ", "))
		for _, one := range d.Dependants {
			fmt.Fprintf(w, "depends on it: %s %s %s\n", one.Kind, one.ID, one.Name)
		}
		for _, one := range d.Active {
			fmt.Fprintf(w, "has not ended: %s %s is %s\n", one.Kind, one.ID, one.Status)
		}
		if d.DependantsTotal+d.ActiveTotal > 0 {
			fmt.Fprintf(w, "refused without --cascade: %d depend on it, %d have not ended\n", d.DependantsTotal, d.ActiveTotal)
		}
	case d.DeletionID == "":
		fmt.Fprintln(w, "deleted")
	default:
		fmt.Fprintf(w, "deleted; deletion %s takes the rows of %d things away\n", d.DeletionID, d.Items)
	}
	return nil
}

// archiveCmd is the verb `archive`.
type archiveCmd struct {
	clientFlags
	Restore bool   `help:"Put it back into the lists."`
	Kind    string `arg:"" enum:"tune,wfo,plan,dataset,document,strategy" help:"What it is: tune, wfo, plan, dataset, document or strategy."`
	ID      string `arg:"" help:"Its id; of a dataset also NAME."`
}

// Run archives one thing, or restores it.
func (c *archiveCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	done, err := api.Archive(ctx, kindOf(c.Kind), c.ID, !c.Restore)
	if err != nil {
		return err
	}
	word := "restored"
	if done.Archived {
		word = "archived"
	}
	_, err = fmt.Fprintln(env.stdout, word, done.ID)
	return err
}
