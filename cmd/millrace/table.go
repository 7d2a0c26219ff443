package main

import (
	"cmp"
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

// printTune writes what came of a tune: its best trials, or else those nearest to its limits, then the
// evidence and warnings.
func printTune(ctx context.Context, w io.Writer, api *client.Client, t *types.Tune, top int) error {
	fmt.Fprintf(w, "tune %s  %s  %s  by %s: %s\n\n", t.TuneID, printable(t.Status), printable(t.StrategyName), printable(t.ObjectiveType), countsText(t))
	if len(t.Leaderboard) == 0 {
		if err := printNoLeader(ctx, w, api, t, top); err != nil {
			return err
		}
	} else if err := printLeaders(w, t.Leaderboard[:min(top, len(t.Leaderboard))]); err != nil {
		return err
	}
	if o := t.Overfit.Value; o != nil && (o.DSR != nil || o.PBO != nil || o.PSR != nil) {
		fmt.Fprintf(w, "\noverfit evidence: PSR %s  DSR of own returns %s  PBO %s  stability %s\n", figure(o.PSR, 3), figure(o.DSR, 3), figure(o.PBO, 3), figure(o.Stability, 3))
	}
	printVerdict(w, t.Evidence.Value)
	for _, warning := range t.Warnings {
		fmt.Fprintf(w, "warning: %s\n", printable(types.ShownWarning(warning)))
	}
	return nil
}

// printVerdict writes what all tests together say of the best trial, and which of them it fails.
func printVerdict(w io.Writer, e *types.Evidence) {
	if e == nil {
		return
	}
	fmt.Fprintf(w, "verdict: %s: %s\n", printable(e.Verdict), printable(e.Because))
	for _, c := range e.Checks {
		if c.Passed != nil && !*c.Passed {
			fmt.Fprintf(w, "  failed %s: %s\n", printable(cmp.Or(c.Title, c.Name)), printable(c.Statement))
		}
	}
	if p := e.Permutation; p != nil {
		fmt.Fprintf(w, "  permutations: %d of %d find as much, p-value %.3f\n", p.AsGood, p.Permutations, p.PValue)
	}
	for _, next := range e.Next {
		fmt.Fprintf(w, "  next: %s\n", printable(next))
	}
}

func countsText(t *types.Tune) string {
	var parts []string
	for _, c := range []struct {
		name string
		n    int
	}{
		{"completed", t.Counts.Completed}, {"skipped", t.Counts.Skipped}, {"failed", t.Counts.Failed}, {"running", t.Counts.Running}, {"queued", t.Counts.Queued},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	if len(parts) == 0 {
		return counted(t.NTrials, "trial")
	}
	return counted(t.NTrials, "trial") + ", " + strings.Join(parts, ", ")
}

// printLeaders writes one line a trial. The figures are of the out-of-sample part where there is
// one, which the header says.
func printLeaders(w io.Writer, leaders []types.Stored[types.Entry]) error {
	split := leaders[0].Value.MetricsOOS != nil
	names := slices.Sorted(maps.Keys(leaders[0].Value.Params))
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := append([]string{"rank", "trial"}, names...)
	if split {
		head = append(head, "score IS", "score OOS", "gap", "return % OOS", "max DD % OOS", "trades OOS")
	} else {
		head = append(head, "score", "return %", "max DD %", "trades")
	}
	writeRow(out, head)
	for _, entry := range leaders {
		l := entry.Value
		row := []string{strconv.Itoa(l.Rank), strconv.Itoa(l.TrialIndex)}
		for _, name := range names {
			row = append(row, strconv.FormatFloat(l.Params[name], 'g', 6, 64))
		}
		metrics := &l.MetricsIS
		if split && l.MetricsOOS != nil {
			metrics = l.MetricsOOS
			row = append(row, figure(l.ScoreIS, 4), figure(l.ScoreOOS, 4), figure(l.OverfitGap, 4))
		} else {
			row = append(row, figure(&l.Score, 4))
		}
		row = append(row, figure(metrics.ReturnPct, 2), figure(metrics.MaxDrawdownPct, 2), strconv.Itoa(metrics.Trades))
		writeRow(out, row)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print the leaderboard: %w", err)
	}
	return nil
}

// writeRow writes cells for a tabwriter, which reports its errors when flushed. With cells aligned
// to the right, the last one too must be ended by a tab.
func writeRow(out *tabwriter.Writer, cells []string) {
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	fmt.Fprintln(out, strings.Join(cells, "\t")+"\t")
}

// figure prints a number, or a dash for one that is undefined.
func figure(v *float64, decimals int) string {
	if v == nil {
		return "–"
	}
	return strconv.FormatFloat(*v, 'f', decimals, 64)
}
