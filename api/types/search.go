package types

import (
	"encoding/json"
	"fmt"
	"time"
)

// Spec is what a tune searches and how its trials are judged. In a request a member that is left out
// or null takes its default; an answer has the defaults filled in.
type Spec struct {
	StrategyName    string                `json:"strategy_name"`
	Side            Side                  `json:"side"`
	SearchType      SearchType            `json:"search_type"`
	NTrials         *int                  `json:"n_trials"` // null on a grid: every point
	Seed            *uint64               `json:"seed"`
	TPE             *TPE                  `json:"tpe"`         // of search_type tpe only
	Pruning         *Pruning              `json:"pruning"`     // null: every trial runs on all bars
	ParamSpace      map[string]ParamRange `json:"param_space"` // a parameter not named keeps its default
	Constraints     []string              `json:"constraints"` // such as "fast < slow"; all must hold
	ObjectiveType   Objective             `json:"objective_type"`
	ObjectiveParams ObjectiveParams       `json:"objective_params"`
	SelectOn        string                `json:"select_on"` // "is" or "oos"
	OOSRatio        *float64              `json:"oos_ratio"` // null: no split, or that of Window
	Window          *TrainTest            `json:"window"`    // null: all bars
	Gates           GateLimits            `json:"gates"`
	Account         AccountSpec           `json:"account"`
	Stops           *Stops                `json:"stops"`
	IntrabarPolicy  IntrabarPolicy        `json:"intrabar_policy"`
	Datasets        []string              `json:"datasets,omitempty"`         // of a tune over several: their names or ids
	IntrabarDataset string                `json:"intrabar_dataset,omitempty"` // of a lower timeframe: takes the place of the assumed path inside a bar
	Aggregate       Aggregate             `json:"aggregate"`                  // of their figures
	Evidence        *EvidenceSpec         `json:"evidence,omitempty"`         // evidence that costs more than the search; null: none
	Script          *Script               `json:"script,omitempty"`           // of a strategy that is one; set by the server
}

// EvidenceSpec asks for a permutation test: the search runs again that many times, on bars in a random order.
type EvidenceSpec struct {
	Permutations int `json:"permutations"` // 19 to 1,000, and times n_trials at most 20,000,000; 0: none
}

// Script pins the script that a tune was submitted with.
type Script struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Version int      `json:"version"`
	SHA256  string   `json:"sha256"` // of the source, in hex
	Params  []string `json:"params"` // names of the parameters in order
}

// ParamRange says which values a parameter takes: a list, or an interval. As JSON it is an array or
// an object.
type ParamRange struct {
	Values []float64 // the list; when set, the interval is not used
	Labels []string  // the list, of a parameter whose values have names
	RangeObject
}

// RangeObject is an interval with a step, or (for searches that draw) one without.
type RangeObject struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
	Step *float64 `json:"step,omitzero"` // null: 1 for an integer, otherwise continuous
	Log  bool     `json:"log,omitzero"`  // draws are even in the logarithm
	Type string   `json:"type,omitzero"` // "int" or "float"; "" for the strategy's own
}

// JSONForms names the shapes for the API's document.
func (ParamRange) JSONForms() []any { return []any{[]float64{}, []string{}, []bool{}, RangeObject{}} }

// MarshalJSON implements json.Marshaler.
func (r ParamRange) MarshalJSON() ([]byte, error) {
	if r.Labels != nil {
		return json.Marshal(r.Labels)
	}
	if r.Values != nil {
		return json.Marshal(r.Values)
	}
	return json.Marshal(r.RangeObject)
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *ParamRange) UnmarshalJSON(raw []byte) error {
	*r = ParamRange{}
	if len(raw) > 0 && raw[0] == '[' {
		return r.readList(raw)
	}
	return json.Unmarshal(raw, &r.RangeObject)
}

// readList reads a list of numbers, of labels, or of true and false, which are 1 and 0.
func (r *ParamRange) readList(raw []byte) error {
	if json.Unmarshal(raw, &r.Labels) == nil && len(r.Labels) > 0 {
		return nil
	}
	r.Labels = nil
	var truths []bool
	if json.Unmarshal(raw, &truths) == nil && len(truths) > 0 {
		for _, truth := range truths {
			v := 0.0
			if truth {
				v = 1
			}
			r.Values = append(r.Values, v)
		}
		return nil
	}
	return json.Unmarshal(raw, &r.Values)
}

// TPE says how a tpe search goes in rounds.
type TPE struct {
	Startup    *int `json:"startup"`    // random trials of the first round; default a tenth of all, at least 10
	Batch      *int `json:"batch"`      // trials of each later round; default what makes 24 of them
	Candidates *int `json:"candidates"` // points drawn for each trial; default 24
}

// Pruning ends trials early that do badly on few bars. A pruned trial is skipped.
type Pruning struct {
	Type  string `json:"type"`
	Eta   *int   `json:"eta"`   // one in how many is kept; default 3
	Rungs *int   `json:"rungs"` // the last one is on all bars; null: as many as fit, 4 at most
}

// ObjectiveParams tune an objective.
type ObjectiveParams struct {
	Lambda *float64 `json:"lambda"` // penalty per percentage point of drawdown
}

// TrainTest is one split by time; both parts are half-open.
type TrainTest struct {
	TrainStart time.Time `json:"train_start"`
	TrainEnd   time.Time `json:"train_end"`
	TestEnd    time.Time `json:"test_end"`
}

// GateLimits are what a trial must keep to be ranked.
type GateLimits struct {
	MaxDrawdownPct *float64 `json:"max_drawdown_pct"` // default 100, without a limit
	MinTrades      *int     `json:"min_trades"`       // default 5; 0 admits every trial
}

// AccountSpec is an Account of which any part may be left out.
type AccountSpec struct {
	Cash       *float64    `json:"cash"`
	Commission *Commission `json:"commission"`
	Slippage   *float64    `json:"slippage"`
	Size       *float64    `json:"size"`
	WholeUnits *bool       `json:"whole_units"`
	Exclusive  *bool       `json:"exclusive"`
}

// Account holds the cash, cost and sizing rules of a run.
type Account struct {
	Cash       float64    `json:"cash"`        // starting equity, in quote currency
	Commission Commission `json:"commission"`  // of traded value, paid on entry and on exit
	Slippage   float64    `json:"slippage"`    // fraction of price, against the trader on every market fill
	Size       float64    `json:"size"`        // (0,1]: fraction of equity; above 1: a number of units
	WholeUnits bool       `json:"whole_units"` // round fractional sizes down to whole units
	Exclusive  bool       `json:"exclusive"`   // an opposite entry closes the open position first
}

// CommissionName is a preset, such as "retail".
type CommissionName string

// Commission is a fraction of traded value, or in a request the name of a preset. As JSON it is a
// number or a string.
type Commission struct {
	Fraction float64
	Name     CommissionName // when set, the fraction is not used
}

// JSONForms names the two shapes for the API's document.
func (Commission) JSONForms() []any { return []any{0.0, CommissionName("")} }

// MarshalJSON implements json.Marshaler.
func (c Commission) MarshalJSON() ([]byte, error) {
	if c.Name != "" {
		return json.Marshal(c.Name)
	}
	return json.Marshal(c.Fraction)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Commission) UnmarshalJSON(raw []byte) error {
	*c = Commission{}
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &c.Name)
	}
	if err := json.Unmarshal(raw, &c.Fraction); err != nil {
		return fmt.Errorf("commission is neither a number nor a name: %w", err)
	}
	return nil
}

// Stops are protective exits. A zero distance is off.
type Stops struct {
	StopPct   float64 `json:"stop_pct"`   // percent of the entry price against the position
	TargetPct float64 `json:"target_pct"` // percent of the entry price in its favour
	TrailPct  float64 `json:"trail_pct"`  // percent of the best price since entry
	StopATR   float64 `json:"stop_atr"`   // average true ranges
	TargetATR float64 `json:"target_atr"`
	TrailATR  float64 `json:"trail_atr"`
	ATRPeriod int     `json:"atr_period"` // bars; 0 means 14
}

// ParamSpec describes one strategy parameter: its bounds are inclusive.
type ParamSpec struct {
	Name    string    `json:"name"`
	Kind    ParamKind `json:"kind"`
	Default float64   `json:"default"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Step    float64   `json:"step"` // natural step of the parameter; 0 when continuous
	Doc     string    `json:"doc"`
	Labels  []string  `json:"labels,omitempty"` // of an enum: what its values are called, from 0 on
	// Of a script's input: the heading under which it is shown, and what it says of itself.
	Group   string `json:"group,omitempty"`
	Tooltip string `json:"tooltip,omitempty"`
}

// WFOConfig says how a walk-forward cuts its folds. Days are of 24 hours, UTC.
type WFOConfig struct {
	TrainDays       *int       `json:"train_days"`        // required
	TestDays        *int       `json:"test_days"`         // required
	StepDays        *int       `json:"step_days"`         // from one fold to the next; default test_days
	MinFolds        *int       `json:"min_folds"`         // that have to succeed
	LeaderboardTopK *int       `json:"leaderboard_top_k"` // candidates of each fold
	AllowPartial    *bool      `json:"allow_partial"`     // failed folds are left out instead of failing all
	Anchored        *bool      `json:"anchored"`          // training windows all begin at the start
	StartTS         *time.Time `json:"start_ts,omitzero"` // null: the first bar's day
	EndTS           *time.Time `json:"end_ts,omitzero"`   // null: the end of the last bar's day
}
