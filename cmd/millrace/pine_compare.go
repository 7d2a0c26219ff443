package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"millrace/jobs/backtest/tradelist"
)

// pineCompareCmd is the verb `pine compare`.
type pineCompareCmd struct {
	clientFlags
	barFlags
	File string `arg:"" help:"The script."`
	List string `arg:"" type:"path" help:"A list of trades that TradingView has exported, CSV."`
	Zone string `default:"UTC" placeholder:"ZONE" help:"Time zone of the list's times: that of the chart. A shift by hours is found without."`
	Name string `help:"Name under which a script that the workspace does not have is stored; by default made of its title. With --dataset."`
}

// Help shows the verb in use.
func (pineCompareCmd) Help() string {
	return `Runs the script and compares its closed trades with the list: the first that differs is printed with its
likely reason. The exit status is 0 when all are alike, and 1 when they are not.

Examples:
  millrace pine compare means.pine trades.csv --bars eth15m.csv
  millrace pine compare means.pine trades.csv --bars eth15m.csv --from 2025-03-31 --input "Fast Length=10"
  millrace pine compare means.pine trades.csv --dataset eth15m`
}

// Run compares.
func (c *pineCompareCmd) Run(ctx context.Context, env *environment) error {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil || c.Zone == "Local" {
		return configError{fmt.Errorf("--zone: %q is not a time zone such as America/New_York", c.Zone)}
	}
	file, err := os.Open(c.List)
	if err != nil {
		return configError{err}
	}
	theirs, err := tradelist.Read(file, zone)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("%s: %w", c.List, err)
	}
	p, err := c.play(ctx, env, c.clientFlags, c.File, c.Name)
	if err != nil {
		return err
	}
	result := tradelist.Compare(theirs, tradelist.FromRun(p.trades), p.market)
	if result.Shift != "" {
		fmt.Fprintf(env.stdout, "time zone: the list's times are those of %s; they are compared in UTC\n", shiftText(result.Shift))
	}
	for _, line := range result.Notes {
		fmt.Fprintln(env.stdout, line)
	}
	fmt.Fprintf(env.stdout, "%d of %d trades are alike; ours has %d\n", result.Alike, result.Theirs, result.Mine)
	if result.First == nil {
		return nil
	}
	fmt.Fprintf(env.stdout, "first difference: %s\n%s\nlikely reason: %s\n", result.First.What, printableLines(result.First.String()), printable(result.Reason))
	return exitStatus(1)
}

// shiftText names a shift: a zone as it is, hours against UTC.
func shiftText(shift string) string {
	if shift[0] == '-' || shift[0] >= '0' && shift[0] <= '9' {
		sign := "+"
		if shift[0] == '-' {
			sign, shift = "-", shift[1:]
		}
		return "UTC" + sign + shift
	}
	return shift
}
