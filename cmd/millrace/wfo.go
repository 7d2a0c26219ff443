package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"millrace/api/client"
	"millrace/api/types"
)

// wfoCmd is the verb `wfo`: submit, follow, print.
type wfoCmd struct {
	clientFlags
	showFlags
	searchFlags
	TrainDays    int        `required:"" placeholder:"N" help:"Days of each training window."`
	TestDays     int        `required:"" placeholder:"N" help:"Days of each test window."`
	StepDays     *int       `placeholder:"N" help:"Days from one fold to the next; by default the test days."`
	MinFolds     *int       `placeholder:"N" help:"Folds that have to succeed."`
	TopK         *int       `api:"wfo_config.leaderboard_top_k" placeholder:"N" help:"Candidates of each fold."`
	AllowPartial bool       `help:"Leave failed folds out instead of failing all."`
	Anchored     bool       `help:"Begin every training window at the start."`
	From         *time.Time `api:"wfo_config.start_ts" format:"2006-01-02" placeholder:"DAY" help:"First day, UTC."`
	To           *time.Time `api:"wfo_config.end_ts" format:"2006-01-02" placeholder:"DAY" help:"Day before which all folds end, UTC."`
}

// Run submits the walk-forward and follows it.
func (c *wfoCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	search, err := c.body()
	if err != nil {
		return err
	}
	body := types.WFORequest{TuneRequest: search, WFOConfig: types.WFOConfig{
		TrainDays: &c.TrainDays, TestDays: &c.TestDays, StepDays: c.StepDays, MinFolds: c.MinFolds, LeaderboardTopK: c.TopK,
		AllowPartial: &c.AllowPartial, Anchored: &c.Anchored, StartTS: c.From, EndTS: c.To,
	}}
	submitted, err := api.SubmitWFO(ctx, c.Key, body)
	if err != nil {
		return err
	}
	if c.Detach {
		_, err := fmt.Fprintln(env.stdout, submitted.WFOID)
		return err
	}
	return followWFO(ctx, env, api, submitted.WFOID, c.showFlags)
}

// followWFO shows progress on stderr and the result on stdout. An interrupt leaves it alone.
func followWFO(ctx context.Context, env *environment, api *client.Client, id string, show showFlags) error {
	bar := newProgress(env.stderr)
	ended, err := api.FollowWFO(ctx, id, max(show.Top, 0), func(w types.WFO) { bar.update(wfoProgress(w)) })
	bar.done()
	err = showEnded(ctx, env, "walk-forward", id, show, ended, err, func() error { return printWFO(env.stdout, ended) })
	if err != nil || ended.Status == types.WFOCompleted || ended.Status == types.WFOPartial {
		return err
	}
	return unfinished("walk-forward", ended.Status, ended.Error)
}

// printWFO writes what came of a walk-forward: its folds, its best candidates, the stitched curve's
// figures and warnings.
func printWFO(w io.Writer, s *types.WFO) error {
	fmt.Fprintf(w, "walk-forward %s  %s  %s  by %s: %s, %s\n\n", s.WFOID, printable(s.Status), printable(s.StrategyName),
		printable(s.ObjectiveType), counted(s.NFolds, "fold"), counted(s.NTrials, "trial"))
	if err := printFolds(w, s.Folds); err != nil {
		return err
	}
	if len(s.Candidates) > 0 {
		fmt.Fprintln(w)
		if err := printCandidates(w, s.Candidates); err != nil {
			return err
		}
	}
	if s.OOS != nil {
		fmt.Fprintf(w, "\nout of sample: return %.2f %%  max drawdown %.2f %%  sharpe %s  trades %d  walk-forward efficiency %s\n",
			s.OOS.ReturnPct, s.OOS.MaxDrawdownPct, figure(s.OOS.Sharpe, 3), s.OOS.Trades, figure(s.Efficiency, 2))
	}
	if err := printByDataset(w, s.ByDataset); err != nil {
		return err
	}
	printVerdict(w, s.Evidence.Value)
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "warning: %s\n", printable(types.ShownWarning(warning)))
	}
	return nil
}

// printByDataset writes one line for each of several datasets.
func printByDataset(w io.Writer, found []types.DatasetWalk) error {
	if len(found) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	writeRow(out, []string{"dataset", "from", "to", "bars", "return %", "drawdown %", "sharpe", "trades", "folds that earned"})
	for _, d := range found {
		writeRow(out, []string{
			printable(d.Dataset), d.From.Format(time.DateOnly), d.To.Format(time.DateOnly), strconv.Itoa(d.OOS.Bars), figure(&d.OOS.ReturnPct, 2),
			figure(&d.OOS.MaxDrawdownPct, 2), figure(d.OOS.Sharpe, 3), strconv.Itoa(d.OOS.Trades), fmt.Sprintf("%d of %d", d.Earned, d.Chosen),
		})
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print the datasets: %w", err)
	}
	return nil
}

func printFolds(w io.Writer, folds []types.Fold) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	writeRow(out, []string{"fold", "train from", "test from", "to", "status", "score IS", "score OOS", "return % OOS"})
	for _, f := range folds {
		var returned *float64
		if f.MetricsOOS != nil {
			returned = f.MetricsOOS.ReturnPct
		}
		writeRow(out, []string{
			strconv.Itoa(f.Fold), f.TrainStart.Format(time.DateOnly), f.TestStart.Format(time.DateOnly), f.TestEnd.Format(time.DateOnly),
			string(f.Status), figure(f.ScoreIS, 4), figure(f.ScoreOOS, 4), figure(returned, 2),
		})
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print the folds: %w", err)
	}
	return nil
}

// printCandidates writes one line a candidate; those in too few folds' tops are marked.
func printCandidates(w io.Writer, candidates []types.Stored[types.Candidate]) error {
	names := slices.Sorted(maps.Keys(candidates[0].Value.Params))
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	writeRow(out, append(append([]string{"rank"}, names...), "coverage", "eligible", "selection", "mean OOS", "median", "worst", "stddev"))
	for _, candidate := range candidates {
		c := candidate.Value
		row := []string{strconv.Itoa(c.Rank)}
		for _, name := range names {
			row = append(row, strconv.FormatFloat(c.Params[name], 'g', 6, 64))
		}
		eligible := "no"
		if c.Eligible {
			eligible = "yes"
		}
		writeRow(out, append(row, figure(&c.Coverage, 2), eligible, figure(&c.SelectionScore, 4),
			figure(&c.MeanOOS, 4), figure(&c.MedianOOS, 4), figure(&c.WorstOOS, 4), figure(&c.StdDevOOS, 4)))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print the candidates: %w", err)
	}
	return nil
}
