package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"millrace/api/types"
)

// recommendCmd is the verb `recommend`: parameters that did well in such a market before.
type recommendCmd struct {
	clientFlags
	rowFlags
	Strategy    string   `required:"" api:"strategy_name" help:"Strategy, as listed by millrace strategies."`
	Data        string   `required:"" placeholder:"DATASET" api:"dataset" help:"Dataset whose last 200 bars are the market."`
	Objective   string   `placeholder:"NAME" api:"objective_type" help:"Only tunes under this objective; by default all."`
	Timeframe   *string  `placeholder:"1d" help:"Only tunes on bars of this timeframe; by default the dataset's."`
	MinSharpe   *float64 `placeholder:"0.3" api:"floors.min_oos_sharpe" help:"Least Sharpe ratio out of sample."`
	MinReturn   *float64 `placeholder:"5" api:"floors.min_return_pct" help:"Least return out of sample, in percent."`
	MinCalmar   *float64 `placeholder:"0.5" api:"floors.min_calmar" help:"Least Calmar ratio out of sample."`
	MaxDrawdown *float64 `placeholder:"20" api:"floors.max_drawdown_pct" help:"Deepest drawdown out of sample, in percent."`
	MinTrades   *int     `placeholder:"5" api:"floors.min_trades" help:"Least number of trades."`
	MaxGap      *float64 `placeholder:"0.5" api:"floors.max_overfit_gap" help:"Largest overfit gap of the Sharpe ratio."`
	MinAlike    *float64 `placeholder:"0.5" api:"floors.min_similarity" help:"Least similarity of the markets, 0 to 1."`
	Question    string   `help:"What to look for in the documents."`
}

// Run prints the candidates; without one that meets the floors the exit status is 1.
func (c *recommendCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	body := types.RecommendRequest{
		StrategyName: c.Strategy, Dataset: c.Data, Timeframe: c.Timeframe, Question: c.Question, Floors: types.RecommendFloors{
			MinOOSSharpe: c.MinSharpe, MinReturnPct: c.MinReturn, MinCalmar: c.MinCalmar, MaxDrawdownPct: c.MaxDrawdown,
			MinTrades: c.MinTrades, MaxOverfitGap: c.MaxGap, MinSimilarity: c.MinAlike,
		},
	}
	if c.Objective != "" {
		objective := types.Objective(c.Objective)
		body.ObjectiveType = &objective
	}
	var found types.Recommend
	if err := api.Post(ctx, "/kb/recommend", body, &found); err != nil {
		return err
	}
	head, rows := candidateRows(&found)
	if err := c.print(env.stdout, head, rows, found); err != nil {
		return err
	}
	for _, hint := range found.Suggestions {
		fmt.Fprintf(env.stderr, "note: %s at %s instead of %s would admit %s\n", printable(hint.Axis), figure(hint.To, 3), figure(hint.From, 3), counted(hint.Admits, "trial"))
	}
	if found.Params == nil {
		return errors.New("no past trial meets the floors in such a market")
	}
	fmt.Fprintf(env.stderr, "%s, confidence %.2f\n", printable(found.Status), found.Confidence)
	return nil
}

func candidateRows(found *types.Recommend) (head []string, rows [][]string) {
	var names []string
	if len(found.Candidates) > 0 {
		names = slices.Sorted(maps.Keys(found.Candidates[0].Params))
	}
	head = append(append([]string{"rank"}, names...), "sharpe OOS", "return %", "calmar", "max DD %", "trades", "similarity", "tune", "trial")
	for i, candidate := range found.Candidates {
		row := []string{strconv.Itoa(i + 1)}
		for _, name := range names {
			row = append(row, strconv.FormatFloat(candidate.Params[name], 'g', 6, 64))
		}
		rows = append(rows, append(row, figure(candidate.OOSSharpe, 3), figure(candidate.ReturnPct, 2), figure(candidate.Calmar, 3), figure(candidate.MaxDrawdownPct, 2),
			strconv.Itoa(candidate.Trades), figure(&candidate.Similarity, 2), candidate.TuneID, strconv.Itoa(candidate.TrialIndex)))
	}
	return head, rows
}

// explainCmd is the verb `explain`: a tune's result in words.
type explainCmd struct {
	clientFlags
	rowFlags
	ID   string `arg:"" help:"Id of the tune."`
	Last bool   `help:"Print the last explanation that was made, and make none."`
}

// Run has the tune explained, or prints the last explanation.
func (c *explainCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	var found types.TuneExplanation
	path := "/backtests/tunes/" + url.PathEscape(c.ID) + "/explain"
	if c.Last {
		err = api.Get(ctx, path, &found)
	} else {
		err = api.Post(ctx, path, nil, &found)
	}
	if err != nil {
		return err
	}
	return c.show(env, &found)
}

// show prints the text, or with -o csv the passages that it cites.
func (c *explainCmd) show(env *environment, found *types.TuneExplanation) error {
	if c.Output == "table" {
		fmt.Fprintln(env.stdout, printableLines(found.Text))
		for _, cited := range found.Citations {
			fmt.Fprintf(env.stdout, "[%d] %s  (chunk %s)\n", cited.Mark, source(cited.Title, cited.URL, cited.Position), printable(cited.ChunkID))
		}
		if found.Error != nil {
			fmt.Fprintln(env.stderr, "note:", printable(*found.Error))
		}
		return nil
	}
	rows := make([][]string, len(found.Citations))
	for i, cited := range found.Citations {
		rows[i] = []string{strconv.Itoa(cited.Mark), cited.Title, cited.URL, cited.Position, cited.ChunkID}
	}
	return c.print(env.stdout, []string{"mark", "title", "url", "position", "chunk"}, rows, found)
}
