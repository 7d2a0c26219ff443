package types

import "time"

// Metrics are the figures of a backtest. One that is undefined is null, with its reason in Undefined.
type Metrics struct {
	Bars            int               `json:"bars"`
	Trades          int               `json:"trades"` // closed
	FinalEquity     *float64          `json:"final_equity"`
	ReturnPct       *float64          `json:"return_pct"` // of starting equity
	CAGRPct         *float64          `json:"cagr_pct"`
	MaxDrawdownPct  *float64          `json:"max_drawdown_pct"`  // below the running peak, as a positive number
	MaxDrawdownBars int               `json:"max_drawdown_bars"` // most bars in a row below an earlier peak
	Sharpe          *float64          `json:"sharpe"`            // annualised
	Sortino         *float64          `json:"sortino"`           // annualised
	Calmar          *float64          `json:"calmar"`            // cagr_pct / max_drawdown_pct
	WinRatePct      *float64          `json:"win_rate_pct"`
	ProfitFactor    *float64          `json:"profit_factor"`
	ExpectancyPct   *float64          `json:"expectancy_pct"` // mean trade return
	SQN             *float64          `json:"sqn"`
	ExposurePct     *float64          `json:"exposure_pct"` // share of bars with an open position
	BuyHoldPct      *float64          `json:"buy_hold_pct"`
	Periods         int               `json:"periods"` // returns behind the next three
	SR              *float64          `json:"sr"`      // per-period Sharpe ratio, not annualised
	Skew            *float64          `json:"skew"`
	Kurt            *float64          `json:"kurt"`                 // normal = 3
	OverDrawdown    *float64          `json:"return_over_drawdown"` // return_pct / max_drawdown_pct, whatever the time
	UnpaidOrders    int               `json:"unpaid_orders"`        // entries that cash did not pay for
	Undefined       map[string]string `json:"undefined,omitempty"`
}

// Trial is one point of a tune's parameter space with what came of it.
type Trial struct {
	Index          int                `json:"trial_index"`
	Status         TrialStatus        `json:"status"`
	Params         map[string]float64 `json:"params"`
	Score          *float64           `json:"score"`
	ScoreIS        *float64           `json:"score_is"`
	ScoreOOS       *float64           `json:"score_oos"` // null without a split, like all of its part
	OverfitGap     *float64           `json:"overfit_gap"`
	ReturnPctIS    *float64           `json:"return_pct_is"`
	ReturnPctOOS   *float64           `json:"return_pct_oos"`
	MaxDrawdownIS  *float64           `json:"max_drawdown_pct_is"`
	MaxDrawdownOOS *float64           `json:"max_drawdown_pct_oos"`
	TradesIS       int                `json:"trades_is"`
	TradesOOS      *int               `json:"trades_oos"`
	Reason         string             `json:"reason,omitempty"` // of a trial that is not completed
	Pruned         *PrunedAt          `json:"pruned,omitempty"` // null: it ran on all bars, or will
}

// PrunedAt is where a trial was pruned, and its score on the few bars of that rung; from 1.
type PrunedAt struct {
	Rung  int      `json:"rung"`
	Score *float64 `json:"score"`
}

// Entry is one line of a leaderboard.
type Entry struct {
	Rank       int                `json:"rank"`
	TrialIndex int                `json:"trial_index"`
	Params     map[string]float64 `json:"params"`
	Score      float64            `json:"score"`
	ScoreIS    *float64           `json:"score_is"`
	ScoreOOS   *float64           `json:"score_oos"`
	OverfitGap *float64           `json:"overfit_gap"`
	MetricsIS  Metrics            `json:"metrics_is"`
	MetricsOOS *Metrics           `json:"metrics_oos"` // null without a split
	Datasets   []DatasetEntry     `json:"datasets,omitempty"`
}

// DatasetEntry is one dataset's part in an entry.
type DatasetEntry struct {
	Dataset    string   `json:"dataset"`
	ScoreIS    *float64 `json:"score_is"`
	ScoreOOS   *float64 `json:"score_oos"`
	MetricsIS  Metrics  `json:"metrics_is"`
	MetricsOOS *Metrics `json:"metrics_oos"`
}

// Gates are the limits that trials were held against, and on which part.
type Gates struct {
	MaxDrawdownPct float64 `json:"max_drawdown_pct"`
	MinTrades      int     `json:"min_trades"`
	EvaluatedOn    string  `json:"evaluated_on"` // "oos"; "is" with a window; "all" without a split
}

// NearMiss is what a tune's limits exclude, and what would admit the trials that miss them by least.
type NearMiss struct {
	TooDeep      int        `json:"too_deep"`       // trials above the drawdown gate
	TooFewTrades int        `json:"too_few_trades"` // trials below the trades gate that are not too deep
	Trials       []Trial    `json:"trials"`         // those that miss by least, the best score first
	Relaxed      GateLimits `json:"relaxed"`        // admits them; a limit that does so already is null
}

// Overfit is the evidence for and against the best trial being luck.
type Overfit struct {
	PSR       *float64          `json:"psr"`        // probabilistic Sharpe ratio
	DSR       *float64          `json:"dsr"`        // deflated Sharpe ratio of the trial's own returns, every trial counted; that of the verdict is excess_dsr
	SR0       *float64          `json:"sr0"`        // Sharpe ratio expected of the best of N without skill, per period
	PBO       *float64          `json:"pbo"`        // probability of backtest overfitting
	Slope     *float64          `json:"slope"`      // of out-of-sample on in-sample Sharpe over the splits
	OOSLoss   *float64          `json:"p_oos_loss"` // share of splits whose choice loses out of sample
	NTrials   int               `json:"n_trials"`   // that traded: N of SR0
	PBOTried  int               `json:"pbo_trials"` // that PBO was computed on
	Stability *float64          `json:"stability"`
	Undefined map[string]string `json:"undefined,omitempty"` // why a figure is null
}

// Rung is one step of a pruned tune, as it came out.
type Rung struct {
	Bars   int `json:"bars"`   // of the part that selects
	Trials int `json:"trials"` // that were run
	Pruned int `json:"pruned"` // of them, that ended there
}

// Regime is the state of the market at the end of a tune's bars.
type Regime struct {
	Schema      string       `json:"schema"`
	Vector      RegimeVector `json:"vector"`
	Tags        []string     `json:"tags"`
	Fingerprint string       `json:"fingerprint"` // SHA-256 in hex of schema and vector
	Bars        int          `json:"bars"`        // looked at: 50 to 200
	At          time.Time    `json:"at"`          // of the last bar
	Character   *Character   `json:"character,omitempty"`
}

// Character is how a market moves, measured on the logarithms of up to 1,000 closes. Past tunes are compared by it;
// it is left out for fewer than 100 bars, and of results of earlier versions.
type Character struct {
	Bars            int     `json:"bars"`              // looked at: 100 to 1,000
	Volatility      float64 `json:"volatility"`        // standard deviation of a bar's return
	Drift           float64 `json:"drift"`             // mean return of a bar, over volatility
	Autocorrelation float64 `json:"autocorrelation"`   // of successive returns, −1 to 1
	VarianceRatio5  float64 `json:"variance_ratio_5"`  // variance over 5 bars to that of independent ones; 1 for a random walk
	VarianceRatio20 float64 `json:"variance_ratio_20"` // the same over 20 bars
	Efficiency      float64 `json:"efficiency"`        // Kaufman's efficiency ratio over 20 bars, on average
	Clustering      float64 `json:"clustering"`        // autocorrelation of absolute returns, mean of lags 1 to 10
	Kurtosis        float64 `json:"kurtosis"`          // of returns; 3 for normal ones
	Shape           float64 `json:"shape"`             // mean range of a bar over its mean body, at most 1,000
}

// RegimeVector holds the figures of a regime, each rounded to four decimals.
type RegimeVector struct {
	ATRNorm       float64 `json:"atr_norm"`       // Wilder's average true range (14) over the close
	RSI           float64 `json:"rsi"`            // Wilder's relative strength index (14), 0 to 100
	BBWidth       float64 `json:"bb_width"`       // Bollinger bands (20, 2σ): upper less lower, over the middle
	ER            float64 `json:"er"`             // Kaufman's efficiency ratio (10), 0 to 1
	TrendStrength float64 `json:"trend_strength"` // R² of ln close on time (50) with the slope's sign, −1 to 1
	ZScore        float64 `json:"zscore"`         // the close less its mean (20), in standard deviations
}

// Candidate is a parameter set that some fold of a walk-forward had in its in-sample top.
type Candidate struct {
	Rank           int                `json:"rank"`
	Params         map[string]float64 `json:"params"`
	Eligible       bool               `json:"eligible"` // coverage of 0.6 and more
	Coverage       float64            `json:"coverage"` // share of the successful folds whose top it is in
	SelectionScore float64            `json:"selection_score"`
	MeanOOS        float64            `json:"mean_oos"`
	MedianOOS      float64            `json:"median_oos"`
	WorstOOS       float64            `json:"worst_fold_oos"`
	StdDevOOS      float64            `json:"stddev_oos"`  // of a sample
	FoldScores     []*float64         `json:"fold_scores"` // of the successful folds, in order
}

// Stitched are the figures of a walk-forward's out-of-sample equity, the test windows one after another.
type Stitched struct {
	Bars           int      `json:"bars"`
	Trades         int      `json:"trades"`
	ReturnPct      float64  `json:"return_pct"`
	MaxDrawdownPct float64  `json:"max_drawdown_pct"`
	Sharpe         *float64 `json:"sharpe"` // annualised
}

// Position is where in its document a chunk stands; what a source type does not have is left out.
type Position struct {
	Page         int      `json:"page,omitempty"` // first page, from 1
	PageEnd      int      `json:"page_end,omitempty"`
	Line         int      `json:"line,omitempty"` // first line, from 1
	LineEnd      int      `json:"line_end,omitempty"`
	StartSeconds *float64 `json:"start_seconds,omitempty"` // of a recording
	EndSeconds   *float64 `json:"end_seconds,omitempty"`
	Heading      string   `json:"heading,omitempty"` // nearest heading above
}
