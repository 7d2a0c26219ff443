package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/uuid"
)

// showFlags say how a tune is shown once it has ended.
type showFlags struct {
	JSON bool `help:"Print the tune as JSON, as the API gives it."`
	Top  int  `default:"10" help:"Rows of the leaderboard to print."`
}

// tuneCmd is the verb `tune`: submit, follow, print.
type tuneCmd struct {
	clientFlags
	showFlags
	Data        string   `required:"" placeholder:"DATASET" help:"Name or id of the dataset."`
	Strategy    string   `required:"" help:"Strategy, as listed by GET /strategies."`
	Param       []string `required:"" sep:"none" placeholder:"NAME=LOW:HIGH:STEP" help:"Values of a parameter: LOW:HIGH:STEP, LOW:HIGH, LOW:HIGH:log or A,B,C. Repeatable."`
	Constraint  []string `sep:"none" placeholder:"EXPR" help:"Condition on the parameters, as in 'fast < slow'. Repeatable."`
	Side        string   `placeholder:"both" help:"long, short or both."`
	Search      string   `placeholder:"grid" help:"How the space is searched."`
	Trials      *int     `placeholder:"N" help:"Number of trials; a grid needs none."`
	Seed        *uint64  `placeholder:"N" help:"Seed of everything random."`
	Objective   string   `placeholder:"sharpe" help:"What trials are ranked by."`
	OOS         *float64 `name:"oos" placeholder:"RATIO" help:"Share of the bars kept for judging out of sample, up to 0.5."`
	MaxDrawdown *float64 `placeholder:"PCT" help:"Gate: deepest drawdown, in percent."`
	MinTrades   *int     `placeholder:"N" help:"Gate: least number of trades."`
	Key         string   `placeholder:"KEY" help:"Idempotency key; by default a new one for each run."`
	Detach      bool     `help:"Submit and print the tune's id, without waiting."`
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
	key := c.Key
	if key == "" {
		key = uuid.NewString()
	}
	submitted, err := api.submitTune(ctx, key, body)
	if err != nil {
		return err
	}
	if c.Detach {
		_, err := fmt.Fprintln(env.stdout, submitted.TuneID)
		return err
	}
	return followTune(ctx, env, api, submitted.TuneID, c.showFlags)
}

func (c *tuneCmd) body() (tuneBody, error) {
	space, err := parseParams(c.Param)
	if err != nil {
		return tuneBody{}, err
	}
	body := tuneBody{
		Dataset: c.Data, StrategyName: c.Strategy, Side: c.Side, SearchType: c.Search, NTrials: c.Trials, Seed: c.Seed,
		ParamSpace: space, Constraints: c.Constraint, ObjectiveType: c.Objective, OOSRatio: c.OOS,
	}
	if c.MaxDrawdown != nil || c.MinTrades != nil {
		body.Gates = &gatesBody{MaxDrawdownPct: c.MaxDrawdown, MinTrades: c.MinTrades}
	}
	return body, nil
}

// watchCmd is the verb `watch`.
type watchCmd struct {
	clientFlags
	showFlags
	ID string `arg:"" help:"Id of the tune."`
}

// Run follows the tune to its end.
func (c *watchCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	return followTune(ctx, env, api, c.ID, c.showFlags)
}

// followTune shows progress on stderr and the result on stdout. An interrupt leaves the tune alone.
func followTune(ctx context.Context, env *environment, api *client, id string, show showFlags) error {
	ended, err := api.follow(ctx, id, newProgress(env.stderr))
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		fmt.Fprintf(env.stderr, "\nThe tune goes on without you.\n  millrace watch %[1]s    to see it again\n  millrace cancel %[1]s   to stop it\n", id)
		return exitStatus(130)
	}
	if err != nil {
		return err
	}
	if show.JSON {
		_, err = env.stdout.Write(append(ended.raw, '\n'))
	} else {
		err = printLeaderboard(env.stdout, ended, max(show.Top, 0))
	}
	if err != nil {
		return err
	}
	if ended.Status == "completed" {
		return nil
	}
	if ended.Error != nil {
		return fmt.Errorf("the tune %s: %s", printable(ended.Status), printable(*ended.Error))
	}
	return fmt.Errorf("the tune was %s", printable(ended.Status))
}

// cancelCmd is the verb `cancel`.
type cancelCmd struct {
	clientFlags
	ID string `arg:"" help:"Id of the tune."`
}

// Run cancels the tune. Repeating it has no further effect, so it is retried like a read.
func (c *cancelCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	raw, err := api.retry(ctx, func() (*http.Request, error) {
		return api.request(ctx, http.MethodPost, "/backtests/tunes/"+url.PathEscape(c.ID)+"/cancel", nil)
	})
	if err != nil {
		return err
	}
	canceled, err := readTune(raw)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "tune %s %s after %d of %d trials\n", canceled.TuneID, printable(canceled.Status), canceled.TrialsCompleted, canceled.NTrials)
	return err
}
