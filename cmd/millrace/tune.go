package main

import (
	"context"
	"errors"
	"fmt"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs/sweep"
)

// showFlags say how a tune is shown once it has ended.
type showFlags struct {
	JSON bool `help:"Print the tune as JSON, as the API gives it."`
	Top  int  `default:"10" help:"Rows of the leaderboard to print."`
}

// searchFlags say what is searched and how.
type searchFlags struct {
	accountFlags
	stopFlags
	Data        []string `required:"" api:"dataset" placeholder:"DATASET" help:"Name or id of the dataset, or of several, as in A,B."`
	Aggregate   string   `placeholder:"mean" help:"What counts of several datasets: mean, median or worst."`
	Strategy    string   `required:"" api:"strategy_name" help:"Strategy, as listed by millrace strategies."`
	Param       []string `required:"" api:"param_space" sep:"none" placeholder:"NAME=LOW:HIGH:STEP" help:"Values of a parameter: LOW:HIGH:STEP, LOW:HIGH, LOW:HIGH:log or A,B,C. Repeatable."`
	Constraint  []string `api:"constraints" sep:"none" placeholder:"EXPR" help:"Condition on the parameters, as in 'fast < slow'. Repeatable."`
	Side        string   `placeholder:"both" help:"long, short or both."`
	Search      string   `api:"search_type" placeholder:"grid" help:"How the space is searched: grid, random, sobol or tpe."`
	Intrabar    string   `api:"intrabar_dataset" placeholder:"NAME" help:"Dataset of a lower timeframe that takes the place of the assumed path inside a bar."`
	Prune       bool     `api:"pruning" help:"End trials early that do badly on few bars (successive halving)."`
	Trials      *int     `api:"n_trials" placeholder:"N" help:"Number of trials; a grid needs none."`
	Seed        *uint64  `placeholder:"N" help:"Seed of everything random."`
	Objective   string   `api:"objective_type" placeholder:"sharpe" help:"What trials are ranked by: sharpe, sharpe_dd_penalty, return, return_dd_penalty, calmar, return_over_drawdown, sortino or profit_factor."`
	MaxDrawdown *float64 `api:"gates.max_drawdown_pct" placeholder:"100" help:"Gate: deepest drawdown that is ranked, in percent; by default 100: no limit."`
	MinTrades   *int     `api:"gates.min_trades" placeholder:"5" help:"Gate: least number of trades that is ranked; 0 admits every trial."`
	Key         string   `api:"X-Idempotency-Key" placeholder:"KEY" help:"Idempotency key; by default a new one for each run."`
	Detach      bool     `help:"Submit and print the id, without waiting."`
}

// tuneCmd is the verb `tune`: submit, follow, print.
type tuneCmd struct {
	clientFlags
	showFlags
	searchFlags
	OOS *float64 `api:"oos_ratio" name:"oos" placeholder:"RATIO" help:"Share of the bars kept for judging out of sample, up to 0.5."`

	Permutations int `api:"evidence.permutations" placeholder:"N" help:"Run the search N times more, 19 to 1,000, on bars in a random order, and compare."`
}

// Run submits the tune and follows it.
func (c *tuneCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	body.OOSRatio = c.OOS
	if c.Permutations != 0 {
		body.Evidence = &types.EvidenceSpec{Permutations: c.Permutations}
	}
	submitted, err := api.SubmitTune(ctx, c.Key, body)
	if err != nil {
		return err
	}
	if c.Detach {
		_, err := fmt.Fprintln(env.stdout, submitted.TuneID)
		return err
	}
	return followTune(ctx, env, api, submitted.TuneID, c.showFlags)
}

func (f *searchFlags) body() (types.TuneRequest, error) {
	space, err := parseParams(f.Param)
	if err != nil {
		return types.TuneRequest{}, err
	}
	body := types.TuneRequest{Spec: types.Spec{
		StrategyName: f.Strategy, Side: types.Side(f.Side), SearchType: types.SearchType(f.Search), NTrials: f.Trials, Seed: f.Seed,
		ParamSpace: space, Constraints: f.Constraint, ObjectiveType: types.Objective(f.Objective), IntrabarDataset: f.Intrabar,
		Gates:   types.GateLimits{MaxDrawdownPct: f.MaxDrawdown, MinTrades: f.MinTrades},
		Account: f.account(), Stops: f.stops(), IntrabarPolicy: types.IntrabarPolicy(f.Policy),
	}}
	body.Aggregate = types.Aggregate(f.Aggregate)
	if body.Datasets = f.Data; len(f.Data) == 1 {
		body.Dataset, body.Datasets = f.Data[0], nil
	}
	if f.Prune {
		body.Pruning = &types.Pruning{Type: sweep.PruneHalving}
	}
	return body, nil
}

// watchCmd is the verb `watch`.
type watchCmd struct {
	clientFlags
	showFlags
	ID string `arg:"" help:"Id of the tune, walk-forward or ingestion."`
}

// Run follows the tune, walk-forward or ingestion to its end.
func (c *watchCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	var follow func() error
	_, err = ofAnyKind(
		func() (string, error) {
			_, err := api.Tune(ctx, c.ID, 0)
			follow = func() error { return followTune(ctx, env, api, c.ID, c.showFlags) }
			return "", err
		},
		func() (string, error) {
			_, err := api.WFO(ctx, c.ID, 0)
			follow = func() error { return followWFO(ctx, env, api, c.ID, c.showFlags) }
			return "", err
		},
		func() (string, error) {
			state, err := api.IngestJob(ctx, c.ID)
			follow = func() error { return followIngest(ctx, env, api, state, c.showFlags) }
			return "", err
		},
	)
	if err != nil {
		return ofOtherKind(ctx, api, "watch", c.ID, err)
	}
	return follow()
}

// followTune shows progress on stderr and the result on stdout. An interrupt leaves the tune alone.
func followTune(ctx context.Context, env *environment, api *client.Client, id string, show showFlags) error {
	bar := newProgress(env.stderr)
	ended, err := api.FollowTune(ctx, id, max(show.Top, 10), func(t types.Tune) { bar.update(tuneProgress(t)) })
	bar.done()
	err = showEnded(ctx, env, "tune", id, show, ended, err, func() error { return printTune(ctx, env.stdout, api, ended, max(show.Top, 0)) })
	switch {
	case err != nil:
		return err
	case ended.Status != types.TuneCompleted:
		return unfinished("tune", ended.Status, ended.Error)
	case ended.BestTrial == nil:
		return errors.New("no trial met the limits")
	}
	return nil
}

// showEnded prints what was followed once it has ended, or says why it was not followed so far.
func showEnded(ctx context.Context, env *environment, what, id string, show showFlags, ended any, err error, print func() error) error {
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return leftAlone(env, what, id)
	case err != nil:
		return err
	case show.JSON:
		return printJSON(env.stdout, ended)
	}
	return print()
}

// unfinished is the error of work that ended without a result.
func unfinished[S ~string](what string, status S, reason *string) error {
	if reason != nil {
		return fmt.Errorf("the %s %s: %s", what, printable(status), printable(*reason))
	}
	return fmt.Errorf("the %s was %s", what, printable(status))
}

// leftAlone says that an interrupt ends the watching only.
func leftAlone(env *environment, what, id string) error {
	fmt.Fprintf(env.stderr, "\nThe %[1]s continues.\n  millrace watch %[2]s    to follow it again\n  millrace cancel %[2]s   to stop it\n", what, id)
	return exitStatus(130)
}

// retryCmd is the verb `retry`.
type retryCmd struct {
	clientFlags
	ID  string `arg:"" help:"Id of the tune, walk-forward, run plan or ingestion."`
	Key string `help:"Idempotency key: repeated with the same key it has no further effect."`
}

// Run has it run again.
func (c *retryCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	line, err := ofAnyKind(
		func() (string, error) {
			tune, err := api.RetryTune(ctx, c.ID, c.Key)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("tune %s %s with %d of %s", tune.TuneID, printable(tune.Status), tune.TrialsCompleted, counted(tune.NTrials, "trial")), nil
		},
		func() (string, error) {
			w, err := api.RetryWFO(ctx, c.ID, c.Key)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("walk-forward %s %s with %d of %s", w.WFOID, printable(w.Status), w.FoldsDone, counted(w.NFolds, "fold")), nil
		},
		func() (string, error) {
			plan, err := api.RetryRunPlan(ctx, c.ID, c.Key)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("run plan %s %s with %d of %s", plan.RunPlanID, printable(plan.Status), plan.VariantsDone, counted(plan.NVariants, "variant")), nil
		},
		func() (string, error) {
			in, err := api.RetryIngest(ctx, c.ID, c.Key)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("ingestion %s %s", in.JobID, printable(in.Status)), nil
		},
	)
	if err != nil {
		return ofOtherKind(ctx, api, "retry", c.ID, err)
	}
	_, err = fmt.Fprintln(env.stdout, line)
	return err
}

// ofAnyKind tries one kind after the other until one has the id. Its answer is the result also when it refuses; of an id that none
// has it is the first's.
func ofAnyKind(kinds ...func() (string, error)) (string, error) {
	var missing error
	for _, try := range kinds {
		line, err := try()
		if !client.IsNotFound(err) {
			return line, err
		}
		if missing == nil {
			missing = err
		}
	}
	return "", missing
}

// cancelCmd is the verb `cancel`.
type cancelCmd struct {
	clientFlags
	ID string `arg:"" help:"Id of the tune, walk-forward, run plan or ingestion."`
}

// Run cancels what has the id. Repeating it has no further effect, so it is retried like a read.
func (c *cancelCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	line, err := ofAnyKind(
		func() (string, error) {
			tune, err := api.CancelTune(ctx, c.ID)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("tune %s %s after %d of %s", tune.TuneID, printable(tune.Status), tune.TrialsCompleted, counted(tune.NTrials, "trial")), nil
		},
		func() (string, error) {
			w, err := api.CancelWFO(ctx, c.ID)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("walk-forward %s %s after %d of %s", w.WFOID, printable(w.Status), w.FoldsDone, counted(w.NFolds, "fold")), nil
		},
		func() (string, error) {
			plan, err := api.CancelRunPlan(ctx, c.ID)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("run plan %s %s after %d of %s", plan.RunPlanID, printable(plan.Status), plan.VariantsDone, counted(plan.NVariants, "variant")), nil
		},
		func() (string, error) {
			in, err := api.CancelIngest(ctx, c.ID)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("ingestion %s %s", in.JobID, printable(in.Status)), nil
		},
	)
	if err != nil {
		return ofOtherKind(ctx, api, "cancel", c.ID, err)
	}
	_, err = fmt.Fprintln(env.stdout, line)
	return err
}
