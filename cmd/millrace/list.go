package main

import (
	"context"
	"encoding/csv"
	"io"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"millrace/api/types"
)

// rowFlags say how rows are printed.
type rowFlags struct {
	Output string `short:"o" default:"table" enum:"table,json,csv" help:"How rows are printed: table, json or csv."`
}

// print writes rows as they were asked for; of JSON, the values that the API gave.
func (f rowFlags) print(w io.Writer, head []string, rows [][]string, values any) error {
	switch f.Output {
	case "json":
		return printJSON(w, values)
	case "csv":
		out := csv.NewWriter(w)
		return out.WriteAll(append([][]string{head}, rows...))
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeRow(out, head)
	for _, row := range rows {
		writeRow(out, row)
	}
	return out.Flush()
}

// tunesCmd holds the verbs of tunes.
type tunesCmd struct {
	List tunesListCmd `cmd:"" help:"List the workspace's tunes, newest first."`
	Show tunesShowCmd `cmd:"" help:"Print a tune as it is now, without following it."`

	Cancel  tunesCancelCmd  `cmd:"" help:"Cancel all tunes that a filter finds and that have not ended."`
	Retry   tunesRetryCmd   `cmd:"" help:"Run all tunes again that a filter finds and that failed or were cancelled."`
	Delete  tunesDeleteCmd  `cmd:"" help:"Delete all tunes that a filter finds; needs a key of an admin."`
	Archive tunesArchiveCmd `cmd:"" help:"Take all tunes that a filter finds out of the lists, or put them back."`
	Tag     tunesTagCmd     `cmd:"" help:"Give tags to all tunes that a filter finds, or take them away."`
}

type tunesListCmd struct {
	clientFlags
	rowFlags
	Status   string `placeholder:"STATUS" help:"Only those of a status: queued, running, completed, failed or canceled."`
	Strategy string `placeholder:"NAME" help:"Only those of a strategy."`
	Limit    int    `default:"50" help:"Tunes to list, from 1 to 200."`
}

// Run lists the tunes.
func (c *tunesListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.Tunes(ctx, listQuery(c.Limit, map[string]string{"status": c.Status, "strategy": c.Strategy}))
	if err != nil {
		return err
	}
	rows := make([][]string, len(found.Items))
	for i, t := range found.Items {
		rows[i] = []string{t.TuneID, string(t.Status), t.StrategyName, t.Dataset, strconv.Itoa(t.TrialsCompleted) + "/" + strconv.Itoa(t.NTrials), figure(t.BestScore, 3), moment(&t.CreatedAt)}
	}
	return c.print(env.stdout, []string{"id", "status", "strategy", "dataset", "trials", "best", "created"}, rows, found.Items)
}

func listQuery(limit int, filters map[string]string) url.Values {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, value := range filters {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

type tunesShowCmd struct {
	clientFlags
	showFlags
	ID string `arg:"" help:"Id of the tune."`
}

// Run prints the tune.
func (c *tunesShowCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	tune, err := api.Tune(ctx, c.ID, max(c.Top, 10))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.stdout, tune)
	}
	return printTune(ctx, env.stdout, api, tune, max(c.Top, 0))
}

// strategiesCmd is the verb `strategies`.
type strategiesCmd struct {
	clientFlags
	rowFlags
}

// Run lists what tunes may name as their strategy.
func (c *strategiesCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.Strategies(ctx)
	if err != nil {
		return err
	}
	rows := make([][]string, len(found.Items))
	for i, s := range found.Items {
		names := ""
		for j, p := range s.Params {
			if j > 0 {
				names += " "
			}
			names += p.Name
		}
		rows[i] = []string{s.Name, names, s.Doc}
	}
	return c.print(env.stdout, []string{"name", "parameters", "what it does"}, rows, found.Items)
}

// tradesCmd is the verb `trades`.
type tradesCmd struct {
	clientFlags
	rowFlags
	ID string `arg:"" help:"Id of the run."`
}

// Run prints the trades of a run.
func (c *tradesCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.RunTrades(ctx, c.ID)
	if err != nil {
		return err
	}
	exact := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	rows := make([][]string, len(found.Items))
	for i, t := range found.Items {
		rows[i] = []string{
			string(t.Side), exact(t.Size), t.EntryTime.UTC().Format(time.RFC3339), exact(t.EntryPrice), t.ExitTime.UTC().Format(time.RFC3339), exact(t.ExitPrice),
			exact(t.PnL), exact(t.ReturnPct), t.ExitReason,
		}
	}
	return c.print(env.stdout, []string{"side", "size", "entry time", "entry price", "exit time", "exit price", "pnl", "return %", "exit reason"}, rows, found.Items)
}

// plansCmd holds the verbs `plans list` and `plans show`.
type plansCmd struct {
	List plansListCmd `cmd:"" help:"List the workspace's run plans, newest first."`
	Show plansShowCmd `cmd:"" help:"Print a run plan and its variants as JSON."`
}

type plansListCmd struct {
	clientFlags
	rowFlags
	Status string `placeholder:"STATUS" help:"Only those of a status, such as running or completed."`
	Limit  int    `default:"50" help:"Plans to list, from 1 to 200."`
}

// Run lists the run plans.
func (c *plansListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	var found types.List[types.RunPlan]
	if err := api.Get(ctx, "/run-plans?"+listQuery(c.Limit, map[string]string{"status": c.Status}).Encode(), &found); err != nil {
		return err
	}
	rows := make([][]string, len(found.Items))
	for i, p := range found.Items {
		rows[i] = []string{p.RunPlanID, p.Name, string(p.Status), strconv.Itoa(p.VariantsDone) + "/" + strconv.Itoa(p.NVariants), strconv.Itoa(p.VariantsFailed), moment(&p.CreatedAt)}
	}
	return c.print(env.stdout, []string{"id", "name", "status", "variants", "failed", "created"}, rows, found.Items)
}

type plansShowCmd struct {
	clientFlags
	ID string `arg:"" help:"Id of the run plan."`
}

// Run prints the run plan.
func (c *plansShowCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	var plan types.RunPlan
	if err := api.Get(ctx, "/run-plans/"+url.PathEscape(c.ID), &plan); err != nil {
		return err
	}
	return printJSON(env.stdout, plan)
}
