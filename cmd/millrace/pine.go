package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/pine"
)

// pineCmd holds the verbs about Pine scripts.
type pineCmd struct {
	Check pineCheckCmd `cmd:"" help:"Compile a script here, without a server: its faults by line, or its inputs."`
	Add   pineAddCmd   `cmd:"" help:"Upload a script as a strategy of the workspace."`
	List  pineListCmd  `cmd:"" help:"List the workspace's scripts."`

	Run     pineRunCmd     `cmd:"" help:"Run a script once, here on a file of bars or on the server on a dataset."`
	Tune    pineTuneCmd    `cmd:"" help:"Tune a script's inputs: upload it when it is new, follow the tune and print its leaderboard."`
	Compare pineCompareCmd `cmd:"" help:"Compare a script's trades with a list that TradingView has exported: the first difference and its likely reason."`
}

// pineCheckCmd is the verb `pine check`.
type pineCheckCmd struct {
	File string `arg:"" help:"The script."`
}

// Run prints what is wrong with a script, and exits with 1; or else its inputs.
func (c *pineCheckCmd) Run(env *environment) error {
	source, err := readScript(c.File)
	if err != nil {
		return err
	}
	program, err := compileScript(env.stdout, c.File, source, true)
	if err != nil {
		return err
	}
	strategy := pine.NewStrategy("pine", program)
	fmt.Fprintf(env.stdout, "%s: class %s, %d inputs\n", printable(program.Title()), program.Class(), len(strategy.Params()))
	return writeParams(env.stdout, strategy.Params())
}

func writeParams(w io.Writer, specs []backtest.ParamSpec) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, p := range specs {
		bounds := fmt.Sprintf("%v to %v", p.Min, p.Max)
		if p.Labels != nil {
			bounds = strings.Join(p.Labels, ", ")
		}
		fmt.Fprintf(table, "  %s\t%s\t%v\t%s\n", printable(p.Name), p.Kind, p.Default, printable(bounds))
	}
	return table.Flush()
}

// pineAddCmd is the verb `pine add`.
type pineAddCmd struct {
	clientFlags
	File   string `arg:"" help:"The script."`
	Name   string `help:"Its name; by default made of its title."`
	Detach bool   `help:"Upload it and print its name, without waiting until a worker has examined it."`
}

// Run uploads a script, waits until it has been examined and prints what was found. One that is refused is
// exit status 1.
func (c *pineAddCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	source, err := readScript(c.File)
	if err != nil {
		return err
	}
	made, err := upload(ctx, env, api, c.File, types.StrategyRequest{Name: c.Name, Source: source})
	if err != nil {
		return err
	}
	if !c.Detach {
		if made, err = examined(ctx, env, api, made); err != nil {
			return err
		}
	}
	fmt.Fprintf(env.stdout, "%s  %s  %s\n", printable(made.Name), printable(made.Status), made.StrategyID)
	return printExamination(env.stdout, made)
}

// printExamination prints what running a script on the sample has shown. A script that may not be tuned is exit
// status 1.
func printExamination(w io.Writer, s *types.Strategy) error {
	e := s.Examination
	if e == nil {
		return nil
	}
	fmt.Fprintf(w, "  %d runs over %d bars, %d trades at the defaults, %d ns a bar; warm-up: %s\n", e.Runs, e.Bars, e.Trades, e.NsPerBar, warmupOf(s))
	for _, line := range append(e.Problems, e.Warnings...) {
		fmt.Fprintln(w, "  "+printable(line))
	}
	if !e.Complete {
		fmt.Fprintln(w, "  time ran out before all runs were made")
	}
	if e.Refusal != "" {
		fmt.Fprintln(w, "  it cannot be tuned: "+printable(e.Refusal))
		return exitStatus(1)
	}
	return nil
}

func warmupOf(s *types.Strategy) string {
	if s.Warmup == nil {
		return "unknown"
	}
	return *s.Warmup
}

// pineListCmd is the verb `pine list`.
type pineListCmd struct{ clientFlags }

// Run lists the scripts.
func (c *pineListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	all, err := api.Strategies(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(env.stdout, 0, 4, 2, ' ', 0)
	for _, s := range all.Items {
		if s.StrategyID != "" {
			fmt.Fprintf(table, "%s\t%s\t%d inputs\t%s\n", printable(s.Name), printable(s.Status), len(s.Params), printable(s.Doc))
		}
	}
	return table.Flush()
}
