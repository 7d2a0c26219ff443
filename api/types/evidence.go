package types

import "time"

// Evidence is the verdict on the best trial of a tune and what it rests on. Ratios are annualised. An
// undefined figure is null, with the reason in Undefined.
type Evidence struct {
	Verdict          Verdict         `json:"verdict"`
	Because          string          `json:"because"`
	Checks           []EvidenceCheck `json:"checks"`
	Power            *float64        `json:"power"`             // probability of finding an edge with a Sharpe ratio of 1 a year
	DetectableSharpe *float64        `json:"detectable_sharpe"` // a year, found with a probability of 0.8
	Next             []string        `json:"next"`              // what would decide it, or make it hold
	// Selection is what the best trial was chosen by; absent of a walk-forward, and of results of engines below 6.
	Selection *EvidenceSelection `json:"selection,omitempty"`
	Market    EvidenceMarket     `json:"market"`
	Luck      EvidenceLuck       `json:"luck"`
	Paths     *EvidencePaths     `json:"paths"`
	Costs     *EvidenceCosts     `json:"costs"`
	Starts    []EvidenceStart    `json:"starts"`
	Regimes   []EvidenceRegime   `json:"regimes"`
	// Permutation is the best trial beside those of searches on permuted bars; absent when none were asked for.
	Permutation *EvidencePermutation `json:"permutation,omitempty"`
	Undefined   map[string]string    `json:"undefined,omitempty"`
}

// EvidenceSelection says which part of the bars the best trial was ranked and limited by: "is", "oos", or "all"
// without a split.
type EvidenceSelection struct {
	RankedOn   string `json:"ranked_on"`
	LimitsOn   string `json:"limits_on"`
	Excluded   int    `json:"excluded"`   // trials that the limits exclude
	Outranking int    `json:"outranking"` // of them, those with a higher score than the best trial
}

// EvidencePermutation is what the same search finds on bars in a random order.
type EvidencePermutation struct {
	Permutations int      `json:"permutations"`
	PValue       float64  `json:"p_value"` // (1 + as_good) over (1 + permutations)
	AsGood       int      `json:"as_good"` // permutations whose best score is at least that of the tune
	Median       *float64 `json:"median"`  // of the permutations' best scores; null where no trial passed
	High         *float64 `json:"high"`    // what 5 % of them exceed
}

// Verdict is what all tests together say of the best trial.
type Verdict string

// EvidenceCheck is one test behind a verdict.
type EvidenceCheck struct {
	Name      string   `json:"name"`
	Title     string   `json:"title"` // what it is called in full; empty in results of engines below 6
	Value     *float64 `json:"value"`
	Limit     float64  `json:"limit"`
	Passed    *bool    `json:"passed"` // null when the value is
	Statement string   `json:"statement"`
}

// EvidenceMarket compares the best trial with buy-and-hold on the part that selects. Excess is what is
// left of its returns without its exposure's share in those of buy-and-hold.
type EvidenceMarket struct {
	DriftPct         *float64 `json:"drift_pct"` // mean return of buy-and-hold, percent a year
	HoldSharpe       *float64 `json:"hold_sharpe"`
	AlphaPct         *float64 `json:"alpha_pct"` // percent a year
	Beta             *float64 `json:"beta"`
	InformationRatio *float64 `json:"information_ratio"`
	UpCapture        *float64 `json:"up_capture"`
	DownCapture      *float64 `json:"down_capture"`
	ExcessSharpe     *float64 `json:"excess_sharpe"`
	ExcessSharpeOOS  *float64 `json:"excess_sharpe_oos"`
	ExcessPSR        *float64 `json:"excess_psr"`
	ExcessDSR        *float64 `json:"excess_dsr"` // deflated Sharpe ratio of the excess, like or opposite trials counted once: that of the verdict
	GapError         *float64 `json:"gap_error"`  // standard error of the Sharpe ratio's fall out of sample
}

// EvidenceLuck says how much of the best trial the choice among so many explains.
type EvidenceLuck struct {
	Trials          int      `json:"trials"`           // that traded
	Sampled         int      `json:"sampled"`          // whose returns were looked at
	Groups          int      `json:"groups"`           // of like or opposite trials among them
	EffectiveTrials int      `json:"effective_trials"` // independent trials that all of them stand for
	SR0             *float64 `json:"sr0"`              // expected of the best of so many without skill
	PValue          *float64 `json:"p_value"`          // of superior predictive ability, for all trials
	SPA             *float64 `json:"spa"`              // the same of the sampled trials
	SPALower        *float64 `json:"spa_lower"`
	SPAUpper        *float64 `json:"spa_upper"`
	RealityCheck    *float64 `json:"reality_check"`
	Survivors       []int    `json:"survivors"` // of the sample, better than buy-and-hold each by itself, at 5 % together over all trials
	Block           *float64 `json:"block"`     // mean block length of the bootstrap, periods
	Resamples       int      `json:"resamples"`
}

// EvidencePaths are the Sharpe ratios of the out-of-sample paths of cross-validation.
type EvidencePaths struct {
	Sharpe  []float64 `json:"sharpe"`
	Median  float64   `json:"median"`
	Worst   float64   `json:"worst"`
	Loss    float64   `json:"loss"`    // share of paths that lose
	Embargo int       `json:"embargo"` // periods left out on both sides of what is held out
	Memory  int       `json:"memory"`  // of the best trial, in periods: its warm-up, or its longest trade
}

// EvidenceCosts are the leaders at other costs, and how much the best trial can bear.
type EvidenceCosts struct {
	Leaders      []EvidenceCostLeader `json:"leaders"`
	BreakEven    *float64             `json:"break_even"`     // multiple of the costs charged, at most 64
	BreakEvenPct *float64             `json:"break_even_pct"` // cost of one side, percent of the price
}

// EvidenceCostLeader is one leader at multiples of its costs.
type EvidenceCostLeader struct {
	TrialIndex int                `json:"trial_index"`
	At         []EvidenceCostStep `json:"at"`
}

// EvidenceCostStep is a leader at one multiple of its costs.
type EvidenceCostStep struct {
	Times     float64  `json:"times"`
	Score     *float64 `json:"score"`
	ReturnPct *float64 `json:"return_pct"`
	Sharpe    *float64 `json:"sharpe"`
}

// EvidenceStart is the best trial when its history begins later.
type EvidenceStart struct {
	From         time.Time `json:"from"`
	Sharpe       *float64  `json:"sharpe"`
	ExcessSharpe *float64  `json:"excess_sharpe"`
}

// EvidenceRegime are the best trial's returns while the market was in one state, read from the 20
// periods before: rising or falling, and calm, normal or volatile by thirds.
type EvidenceRegime struct {
	Name      string   `json:"name"`
	Periods   int      `json:"periods"`
	ReturnPct *float64 `json:"return_pct"`
	HoldPct   *float64 `json:"hold_pct"`
	Sharpe    *float64 `json:"sharpe"`
}
