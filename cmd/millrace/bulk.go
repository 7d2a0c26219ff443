package main

import (
	"context"
	"fmt"
	"strings"

	"millrace/api/types"
)

// bulkFlags say which tunes, walk-forwards or run plans a verb is about.
type bulkFlags struct {
	clientFlags
	Kind    string   `enum:"tune,wfo,run_plan" default:"tune" help:"What the filters find: tune, wfo or run_plan."`
	Filter  []string `placeholder:"NAME=VALUE" help:"Narrow: status, strategy, tag, q (words of name, note, tags, strategy or id), older_than (as 30d), archived, id. All that are given must hold; id may be repeated."`
	DryRun  bool     `help:"Print how many it would touch, and change nothing."`
	Confirm int      `default:"-1" placeholder:"N" help:"How many it is to touch; with another number nothing is changed."`
	Yes     bool     `help:"Take the number that the filter finds."`
}

// filter reads the filters.
func (f bulkFlags) filter() (types.BulkFilter, error) {
	var filter types.BulkFilter
	seen := map[string]bool{}
	for _, given := range f.Filter {
		name, value, ok := strings.Cut(given, "=")
		fields := map[string]*string{"status": &filter.Status, "strategy": &filter.Strategy, "tag": &filter.Tag, "q": &filter.Q, "older_than": &filter.OlderThan}
		switch {
		case seen[name] && name != "id":
			return filter, configError{fmt.Errorf("--filter %q: %s is given twice, and both would have to hold", given, name)}
		case ok && fields[name] != nil:
			*fields[name] = value
		case ok && name == "id":
			filter.IDs = append(filter.IDs, value)
		case ok && name == "archived" && (value == "true" || value == "false"):
			filter.Archived = new(value == "true")
		default:
			return filter, configError{fmt.Errorf("--filter %q: want NAME=VALUE with status, strategy, tag, q, older_than, archived or id", given)}
		}
		seen[name] = true
	}
	return filter, nil
}

// run does an action on what the filters find.
func (f bulkFlags) run(ctx context.Context, env *environment, req types.BulkRequest) error {
	api, err := f.open()
	if err != nil {
		return err
	}
	req.Kind = f.Kind
	if req.Filter, err = f.filter(); err != nil {
		return err
	}
	if f.DryRun || f.Confirm < 0 {
		req.DryRun = true
		found, err := api.Bulk(ctx, req)
		if err != nil {
			return err
		}
		what := map[string]string{"tune": "tune", "wfo": "walk-forward", "run_plan": "run plan"}[f.Kind]
		fmt.Fprintln(env.stdout, counted(found.Matched, what))
		if !f.Yes || f.DryRun || found.Matched == 0 {
			if !f.DryRun && found.Matched > 0 {
				fmt.Fprintf(env.stdout, "nothing was changed: repeat with --confirm %d\n", found.Matched)
			}
			return nil
		}
		req.DryRun, f.Confirm = false, found.Matched
	}
	req.Confirm = &f.Confirm
	done, err := api.Bulk(ctx, req)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%s: %d of %d\n", req.Action, done.Changed, done.Matched)
	return err
}

type tunesCancelCmd struct{ bulkFlags }

// Run cancels tunes.
func (c *tunesCancelCmd) Run(ctx context.Context, env *environment) error {
	return c.run(ctx, env, types.BulkRequest{Action: "cancel"})
}

type tunesRetryCmd struct{ bulkFlags }

// Run has tunes run again.
func (c *tunesRetryCmd) Run(ctx context.Context, env *environment) error {
	return c.run(ctx, env, types.BulkRequest{Action: "retry"})
}

type tunesDeleteCmd struct {
	bulkFlags
	Cascade bool `help:"Delete what depends on them too, and cancel what has not ended."`
}

// Run deletes tunes.
func (c *tunesDeleteCmd) Run(ctx context.Context, env *environment) error {
	return c.run(ctx, env, types.BulkRequest{Action: "delete", Cascade: c.Cascade})
}

type tunesArchiveCmd struct {
	bulkFlags
	Restore bool `help:"Put them back into the lists."`
}

// Run archives tunes.
func (c *tunesArchiveCmd) Run(ctx context.Context, env *environment) error {
	req := types.BulkRequest{Action: "archive"}
	if c.Restore {
		req.Action = "restore"
	}
	return c.run(ctx, env, req)
}

type tunesTagCmd struct {
	bulkFlags
	Remove bool     `help:"Take the tags away."`
	Tags   []string `arg:"" help:"Tags."`
}

// Run tags tunes.
func (c *tunesTagCmd) Run(ctx context.Context, env *environment) error {
	req := types.BulkRequest{Action: "tag", Tags: c.Tags}
	if c.Remove {
		req.Action = "untag"
	}
	return c.run(ctx, env, req)
}
