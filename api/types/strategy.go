package types

import "time"

// Strategy is a built-in strategy, or one version of a script; the members of a script's own are null
// or left out for a built-in one.
type Strategy struct {
	Name        string                `json:"name"` // what requests give as strategy_name
	Doc         string                `json:"doc"`
	Params      []ParamSpec           `json:"params"`
	StrategyID  string                `json:"strategy_id,omitempty"`
	Version     int                   `json:"version,omitempty"`
	SHA256      string                `json:"sha256,omitempty"` // of the source
	Status      StrategyStatus        `json:"status,omitempty"` // checking; ready; refused: it cannot be tuned; unstable: do not trust it, examination says why
	Class       string                `json:"class,omitempty"`  // how it is executed: S signals, B brackets, P program
	ParamSpace  map[string]ParamRange `json:"param_space,omitempty"`
	Account     *Account              `json:"account,omitempty"` // of its declaration, as far as an account says it
	Warmup      *string               `json:"warmup,omitempty"`  // bars seen before a window
	Notes       []Diagnostic          `json:"notes,omitempty"`
	Examination *Examination          `json:"examination,omitempty"`
	CreatedAt   *time.Time            `json:"created_at,omitempty"`
	CheckedAt   *time.Time            `json:"checked_at,omitempty"`  // when its examination ended
	ArchivedAt  *time.Time            `json:"archived_at,omitempty"` // when the script left the lists
}

// Diagnostic is one finding about a script.
type Diagnostic struct {
	Line     int    `json:"line"`     // from 1; 0 for the script as a whole
	Column   int    `json:"column"`   // from 1, in characters
	Code     string `json:"code"`     // P1xx syntax, P2xx names and types, P3xx refused, P4xx limits, P9xx notes
	Severity string `json:"severity"` // error, warning or note
	Message  string `json:"message"`
	Advice   string `json:"advice,omitempty"` // what to change
}

// Examination is what running a script on a sample showed.
type Examination struct {
	Bars     int      `json:"bars"`
	Runs     int      `json:"runs"`              // that were made
	Trades   int      `json:"trades"`            // at the defaults
	Complete bool     `json:"complete"`          // false when time ran out
	NsPerBar int64    `json:"ns_per_bar"`        // of a run, on average
	Warmup   int      `json:"warmup"`            // bars that trials see before a window, at the defaults; 0 also when they see all
	Refusal  string   `json:"refusal,omitempty"` // why it cannot be tuned
	Problems []string `json:"problems"`          // why not to trust it
	Warnings []string `json:"warnings"`          // parameters at which it fails, and if it does not trade
}

// StrategyRequest is the body of POST /strategies.
type StrategyRequest struct {
	Name   string `json:"name"`   // letters, digits, _ . -; default made of the script's title
	Source string `json:"source"` // the script, at most 262144 bytes
}

// DocumentStrategyRequest is the body of POST /documents/{id}/strategy.
type DocumentStrategyRequest struct {
	Name string `json:"name"` // letters, digits, _ . -; default made of the script's title
}

// StrategyCheckRequest is the body of POST /strategies/check.
type StrategyCheckRequest struct {
	Source string `json:"source"`
}

// StrategySource is the text of a script.
type StrategySource struct {
	StrategyID string `json:"strategy_id"`
	Name       string `json:"name"`
	SHA256     string `json:"sha256"`
	Source     string `json:"source"`
}
