package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"millrace/api/client"
	"millrace/api/types"
)

// mostNearest is how many trials of a tune without a leaderboard are printed.
const mostNearest = 10

// printNoLeader says of a tune without a leaderboard which limit excluded how many trials, and what
// would admit the nearest.
func printNoLeader(ctx context.Context, w io.Writer, api *client.Client, t *types.Tune, top int) error {
	if t.Status != types.TuneCompleted {
		_, err := fmt.Fprintln(w, "Trials are ranked once the tune is completed.")
		return err
	}
	fmt.Fprintf(w, "No trial met the limits: %s.\n", limitsText(t.Spec.Gates))
	near, err := api.Nearest(ctx, t.TuneID, min(max(top, 1), mostNearest))
	if err != nil {
		return err
	}
	if reasons := t.Reasons.Value; reasons != nil {
		for _, why := range slices.SortedFunc(maps.Keys(*reasons), func(a, b string) int { return (*reasons)[b] - (*reasons)[a] }) {
			fmt.Fprintf(w, "  %s: %s\n", counted((*reasons)[why], "trial"), printable(why))
		}
	}
	if len(near.Trials) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nnearest to the limits, best score first:\n")
	if err := printTrials(w, near.Trials); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThese pass with %s\n", relaxedFlags(near.Relaxed))
	return nil
}

// limitsText are the limits of a tune in words.
func limitsText(limits types.GateLimits) string {
	text := "no limit of the drawdown"
	if limits.MaxDrawdownPct != nil && *limits.MaxDrawdownPct < 100 {
		text = "drawdown at most " + strconv.FormatFloat(*limits.MaxDrawdownPct, 'f', -1, 64) + " %"
	}
	if limits.MinTrades != nil {
		text += fmt.Sprintf(", at least %s", counted(*limits.MinTrades, "trade"))
	}
	return text
}

// relaxedFlags are limits as the flags of `tune`.
func relaxedFlags(limits types.GateLimits) string {
	var flags []string
	if limits.MaxDrawdownPct != nil {
		flags = append(flags, "--max-drawdown "+strconv.FormatFloat(*limits.MaxDrawdownPct, 'f', -1, 64))
	}
	if limits.MinTrades != nil {
		flags = append(flags, "--min-trades "+strconv.Itoa(*limits.MinTrades))
	}
	return strings.Join(flags, " ")
}

// printTrials writes one line a trial; of a split with the figures that limits are held against.
func printTrials(w io.Writer, trials []types.Trial) error {
	names := slices.Sorted(maps.Keys(trials[0].Params))
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := append([]string{"trial"}, names...)
	split := trials[0].TradesOOS != nil
	if split {
		head = append(head, "score IS", "score OOS", "max DD % OOS", "trades OOS")
	} else {
		head = append(head, "score", "max DD %", "trades")
	}
	writeRow(out, head)
	for _, t := range trials {
		row := []string{strconv.Itoa(t.Index)}
		for _, name := range names {
			row = append(row, strconv.FormatFloat(t.Params[name], 'g', 6, 64))
		}
		if split && t.TradesOOS != nil {
			row = append(row, figure(t.ScoreIS, 4), figure(t.ScoreOOS, 4), figure(t.MaxDrawdownOOS, 2), strconv.Itoa(*t.TradesOOS))
		} else {
			row = append(row, figure(t.Score, 4), figure(t.MaxDrawdownIS, 2), strconv.Itoa(t.TradesIS))
		}
		writeRow(out, row)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print the trials: %w", err)
	}
	return nil
}
