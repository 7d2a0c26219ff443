package types

import "encoding/json"

// TuneRequest is the body of POST /backtests/tune: one dataset, or several as datasets.
type TuneRequest struct {
	Dataset string `json:"dataset"` // its id or name
	Spec
}

// WFORequest is the body of POST /backtests/wfo: a tune and how it walks.
type WFORequest struct {
	TuneRequest
	WFOConfig WFOConfig `json:"wfo_config"`
}

// RunRequest is the body of POST /backtests/run.
type RunRequest struct {
	Dataset  string             `json:"dataset"`
	Strategy string             `json:"strategy_name"`
	Params   map[string]float64 `json:"params"`
	Side     Side               `json:"side"`
	Account  *Account           `json:"account"`
	Stops    *Stops             `json:"stops"`
	Policy   IntrabarPolicy     `json:"intrabar_policy"`
	Seed     uint64             `json:"seed"`
	Intrabar string             `json:"intrabar_dataset,omitempty"` // of a lower timeframe: takes the place of the assumed path inside a bar
}

// RunPlanRequest is the body of POST /run-plans: a tune body and how its variants differ from it.
type RunPlanRequest struct {
	Name      string                       `json:"name"`
	Base      Stored[TuneRequest]          `json:"base"`
	Overrides []map[string]json.RawMessage `json:"overrides"` // merge patches of base
	Grid      map[string][]json.RawMessage `json:"grid"`      // values by path, as in "account.commission"
	Ablations []string                     `json:"ablations"` // paths taken out of base, one at a time
	Pinned    bool                         `json:"pinned"`    // its breadcrumbs are never pruned
}
