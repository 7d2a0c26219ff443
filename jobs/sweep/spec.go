package sweep

import (
	"maps"
	"slices"

	"millrace/jobs/backtest"
)

// Search is how parameter sets are chosen.
type Search string

// The kinds of search.
const (
	SearchGrid   Search = "grid"   // every point, or a seeded sample of n_trials of them
	SearchRandom Search = "random" // seeded; without replacement where the space is discrete
	SearchSobol  Search = "sobol"  // a scrambled Sobol sequence, spread more evenly than random
	SearchTPE    Search = "tpe"    // learns from the scores of earlier rounds
)

// Objective is the figure that trials are ranked by; higher is better.
type Objective string

// The objectives. λ is objective_params.lambda, per percentage point of drawdown.
const (
	ObjectiveSharpe          Objective = "sharpe"
	ObjectiveSharpeDDPenalty Objective = "sharpe_dd_penalty" // sharpe − λ·max_drawdown_pct
	ObjectiveReturn          Objective = "return"            // return_pct
	ObjectiveReturnDDPenalty Objective = "return_dd_penalty" // return_pct − λ·max_drawdown_pct
	ObjectiveCalmar          Objective = "calmar"            // cagr_pct / |max_drawdown_pct|
	// ObjectiveReturnOverDrawdown is return_pct / |max_drawdown_pct|, whatever the time.
	ObjectiveReturnOverDrawdown Objective = "return_over_drawdown"
	ObjectiveSortino            Objective = "sortino"
	ObjectiveProfitFactor       Objective = "profit_factor"
)

// The parts of a split that selection may look at.
const (
	SelectInSample    = "is"
	SelectOutOfSample = "oos"
)

// Defaults that Normalize fills in.
const (
	DefaultTrials = 1000 // of a search that is not a grid
	defaultLambda = 0.02 // per percentage point of drawdown
)

// Spec is a tune as it is asked for, less its dataset. A pointer is nil where the request is
// silent; Normalize fills in the defaults.
type Spec struct {
	StrategyName    string           `json:"strategy_name"`
	Side            backtest.Side    `json:"side"`
	SearchType      Search           `json:"search_type"`
	NTrials         *int             `json:"n_trials"` // nil on a grid: every point
	Seed            *uint64          `json:"seed"`
	TPE             *TPE             `json:"tpe"`         // of search_type tpe only
	Pruning         *Pruning         `json:"pruning"`     // nil: every trial runs on all bars
	ParamSpace      map[string]Range `json:"param_space"` // a parameter not named keeps its default
	Constraints     []string         `json:"constraints"` // such as "fast < slow"; all must hold
	ObjectiveType   Objective        `json:"objective_type"`
	ObjectiveParams ObjectiveParams  `json:"objective_params"`
	SelectOn        string           `json:"select_on"` // SelectInSample or SelectOutOfSample
	OOSRatio        *float64         `json:"oos_ratio"` // nil: no split, or that of Window
	Window          *TrainTest       `json:"window"`    // nil: all bars
	Gates           GateLimits       `json:"gates"`
	Account         AccountSpec      `json:"account"`
	Stops           *backtest.Stops  `json:"stops"`
	IntrabarPolicy  IntrabarPolicy   `json:"intrabar_policy"`
	Datasets        []string         `json:"datasets,omitempty"` // of a tune over several: their names or ids
	Aggregate       Aggregate        `json:"aggregate"`          // of their figures
	Script          *Script          `json:"script,omitempty"`   // of a strategy that is one; set by the server

	// IntrabarDataset has bars of a lower timeframe that take the place of the assumed path inside a bar.
	IntrabarDataset string `json:"intrabar_dataset,omitempty"` // its id or name; stored as its id

	Evidence *EvidenceSpec `json:"evidence,omitempty"` // nil: no permutations

	strategy backtest.Strategy // nil: the built-in one of the name
}

// IntrabarPolicy is backtest.IntrabarPolicy.
type IntrabarPolicy = backtest.IntrabarPolicy

// ObjectiveParams tune an objective.
type ObjectiveParams struct {
	Lambda *float64 `json:"lambda"` // penalty per percentage point of drawdown
}

// GateLimits are what a trial must keep to be ranked. A drawdown gate of 100 and a trades gate of 0
// let everything pass. Without them, 100 and 5.
type GateLimits struct {
	MaxDrawdownPct *float64 `json:"max_drawdown_pct"`
	MinTrades      *int     `json:"min_trades"`
}

// AccountSpec is a backtest.Account of which any part may be left out.
type AccountSpec struct {
	Cash       *float64             `json:"cash"`
	Commission *backtest.Commission `json:"commission"`
	Slippage   *float64             `json:"slippage"`
	Size       *float64             `json:"size"`
	WholeUnits *bool                `json:"whole_units"`
	Exclusive  *bool                `json:"exclusive"`
}

// Normalize fills in every default, so that a stored spec says all there is to know. Doing it
// again changes nothing.
func (s *Spec) Normalize() {
	orElse(&s.Side, backtest.SideBoth)
	orElse(&s.SearchType, SearchGrid)
	orElse(&s.ObjectiveType, ObjectiveSharpe)
	orElse(&s.SelectOn, SelectInSample)
	orElse(&s.IntrabarPolicy, backtest.PolicyWorst)
	orElse(&s.Aggregate, AggregateMean)
	if s.NTrials == nil && s.SearchType != SearchGrid {
		s.NTrials = new(DefaultTrials)
	}
	fill(&s.Seed, 1)
	s.normalizeSearch()
	if s.Constraints == nil {
		s.Constraints = []string{}
	}
	if s.ParamSpace == nil {
		s.ParamSpace = map[string]Range{}
	}
	fill(&s.ObjectiveParams.Lambda, defaultLambda)
	fill(&s.Gates.MaxDrawdownPct, maxDrawdownPct) // no limit: how much is too much is the caller's to say
	fill(&s.Gates.MinTrades, defaultMinTrades)
	if s.scripted() {
		return // what is not named is the script's own
	}
	account := backtest.DefaultAccount()
	fill(&s.Account.Cash, account.Cash)
	fill(&s.Account.Commission, account.Commission)
	fill(&s.Account.Slippage, account.Slippage)
	fill(&s.Account.Size, account.Size)
	fill(&s.Account.WholeUnits, account.WholeUnits)
	fill(&s.Account.Exclusive, account.Exclusive)
}

// normalizeSearch fills in how rounds are made.
func (s *Spec) normalizeSearch() {
	if s.SearchType == SearchTPE {
		// A copy: the request's own stays as it was sent.
		t := TPE{}
		if s.TPE != nil {
			t = *s.TPE
		}
		fill(&t.Startup, min(max(10, *s.NTrials/10), max(*s.NTrials, 1)))
		fill(&t.Batch, max(1, (*s.NTrials-*t.Startup+defaultTPERounds-1)/defaultTPERounds))
		fill(&t.Candidates, defaultCandidates)
		s.TPE = &t
	}
	if s.Pruning != nil {
		p := *s.Pruning
		orElse(&p.Type, PruneHalving)
		fill(&p.Eta, defaultEta)
		s.Pruning = &p
	}
}

func orElse[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

func fill[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// normalized is a copy of the spec with its defaults filled in.
func (s Spec) normalized() Spec {
	s.Normalize()
	return s
}

// config is the run configuration of a normalized spec.
func (s Spec) config(calendar backtest.Calendar) backtest.Config {
	account, named := s.account()
	return backtest.Config{
		Side:     s.Side,
		Account:  account,
		Override: named,
		Stops:    s.Stops,
		Policy:   s.IntrabarPolicy,
		Seed:     *s.Seed,
		Calendar: calendar,
	}
}

// split reports whether trials have an out-of-sample part.
func (s Spec) split() bool { return s.OOSRatio != nil || s.Window != nil }

// gatesOOS reports whether gates look at the out-of-sample part. Those of a window do not: its test
// part is to judge what was chosen without it.
func (s Spec) gatesOOS() bool { return s.OOSRatio != nil }

// sortedNames are the names of the parameters that are searched.
func (s Spec) sortedNames() []string { return slices.Sorted(maps.Keys(s.ParamSpace)) }
