package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"millrace/api/types"
)

// SubmitTune submits a tune once, however often the request has to be sent. key is the idempotency
// key; "" makes one.
func (c *Client) SubmitTune(ctx context.Context, key string, body types.TuneRequest) (*types.Tune, error) {
	return create[types.Tune](ctx, c, "/backtests/tune", key, body)
}

// Tune reads a tune with the first lines of its leaderboard; 0 is none, 1,000 are the most.
func (c *Client) Tune(ctx context.Context, id string, leaderboard int) (*types.Tune, error) {
	t, err := get[types.Tune](ctx, c, "/backtests/tunes/"+url.PathEscape(id), url.Values{"leaderboard": {strconv.Itoa(min(leaderboard, 1000))}})
	if err == nil && t.TuneID == "" {
		return nil, errors.New("the server at this address answered with something that is not a tune")
	}
	return t, err
}

// Tunes lists tunes, newest first, from a page's cursor on; query may hold status, strategy, wfo_id
// and limit.
func (c *Client) Tunes(ctx context.Context, query url.Values) (*types.List[types.Tune], error) {
	return get[types.List[types.Tune]](ctx, c, "/backtests/tunes", query)
}

// Trials lists a tune's trials; query may hold status, sort, cursor and limit.
func (c *Client) Trials(ctx context.Context, id string, query url.Values) (*types.List[types.Trial], error) {
	return get[types.List[types.Trial]](ctx, c, "/backtests/tunes/"+url.PathEscape(id)+"/trials", query)
}

// Nearest reads what the tune's limits exclude, and the most trials that miss them by least.
func (c *Client) Nearest(ctx context.Context, id string, most int) (*types.NearMiss, error) {
	return get[types.NearMiss](ctx, c, "/backtests/tunes/"+url.PathEscape(id)+"/nearest", url.Values{"limit": {strconv.Itoa(most)}})
}

// CancelTune cancels a tune. Repeating it has no further effect.
func (c *Client) CancelTune(ctx context.Context, id string) (*types.Tune, error) {
	return send[types.Tune](ctx, c, call{method: http.MethodPost, path: "/backtests/tunes/" + url.PathEscape(id) + "/cancel"}, nil)
}

// CancelRunPlan cancels what of a run plan has not ended, once, however often it is asked.
func (c *Client) CancelRunPlan(ctx context.Context, id string) (*types.RunPlan, error) {
	return send[types.RunPlan](ctx, c, call{method: http.MethodPost, path: "/run-plans/" + url.PathEscape(id) + "/cancel"}, nil)
}

// RetryTune has a tune run again that failed or was cancelled. key is the idempotency key; "" makes one.
func (c *Client) RetryTune(ctx context.Context, id, key string) (*types.Tune, error) {
	return create[types.Tune](ctx, c, "/backtests/tunes/"+url.PathEscape(id)+"/retry", key, nil)
}

// RetryWFO has a walk-forward run again that failed or was cancelled. key is the idempotency key; "" makes one.
func (c *Client) RetryWFO(ctx context.Context, id, key string) (*types.WFO, error) {
	return create[types.WFO](ctx, c, "/backtests/wfo/"+url.PathEscape(id)+"/retry", key, nil)
}

// RetryRunPlan has the variants of a run plan run again that failed or were cancelled. key is the idempotency key; "" makes one.
func (c *Client) RetryRunPlan(ctx context.Context, id, key string) (*types.RunPlan, error) {
	return create[types.RunPlan](ctx, c, "/run-plans/"+url.PathEscape(id)+"/retry", key, nil)
}

// SubmitWFO submits a walk-forward once, however often the request has to be sent. key is the
// idempotency key; "" makes one.
func (c *Client) SubmitWFO(ctx context.Context, key string, body types.WFORequest) (*types.WFO, error) {
	return create[types.WFO](ctx, c, "/backtests/wfo", key, body)
}

// WFO reads a walk-forward with its folds and its best candidates; 1,000 are the most.
func (c *Client) WFO(ctx context.Context, id string, candidates int) (*types.WFO, error) {
	w, err := get[types.WFO](ctx, c, "/backtests/wfo/"+url.PathEscape(id), url.Values{"candidates": {strconv.Itoa(min(candidates, 1000))}})
	if err == nil && w.WFOID == "" {
		return nil, errors.New("the server at this address answered with something that is not a walk-forward")
	}
	return w, err
}

// CancelWFO cancels a walk-forward and its folds.
func (c *Client) CancelWFO(ctx context.Context, id string) (*types.WFO, error) {
	return send[types.WFO](ctx, c, call{method: http.MethodPost, path: "/backtests/wfo/" + url.PathEscape(id) + "/cancel"}, nil)
}

// Run runs one backtest and returns its metrics. key is the idempotency key; "" makes one.
func (c *Client) Run(ctx context.Context, key string, body types.RunRequest) (*types.Run, error) {
	return create[types.Run](ctx, c, "/backtests/run", key, body)
}

// RunTrades lists a run's closed trades.
func (c *Client) RunTrades(ctx context.Context, id string) (*types.List[types.Trade], error) {
	return get[types.List[types.Trade]](ctx, c, "/backtests/runs/"+url.PathEscape(id)+"/trades", nil)
}

// Strategies lists the strategies and their parameters.
func (c *Client) Strategies(ctx context.Context) (*types.List[types.Strategy], error) {
	return get[types.List[types.Strategy]](ctx, c, "/strategies", nil)
}

// Strategy reads one script, with what its examination found.
func (c *Client) Strategy(ctx context.Context, id string) (*types.Strategy, error) {
	return get[types.Strategy](ctx, c, "/strategies/"+url.PathEscape(id), nil)
}
