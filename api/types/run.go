package types

import (
	"encoding/json"
	"time"
)

// Run is a run.
type Run struct {
	RunID      string          `json:"run_id"`
	Dataset    string          `json:"dataset"`
	Strategy   string          `json:"strategy_name"`
	Spec       json.RawMessage `json:"spec"`
	Metrics    Metrics         `json:"metrics"`
	CreatedAt  time.Time       `json:"created_at"`
	ArchivedAt *time.Time      `json:"archived_at"` // null: it is in the lists
}

// Trade is a trade with its times as clients read them.
type Trade struct {
	Side       Side      `json:"side"`
	Size       float64   `json:"size"`
	EntryBar   int       `json:"entry_bar"`
	EntryTime  time.Time `json:"entry_time"`
	EntryPrice float64   `json:"entry_price"`
	ExitBar    int       `json:"exit_bar"`
	ExitTime   time.Time `json:"exit_time"`
	ExitPrice  float64   `json:"exit_price"`
	PnL        float64   `json:"pnl"`
	ReturnPct  float64   `json:"return_pct"`
	ExitReason string    `json:"exit_reason"`
	// What a script calls the order that opened the position, and the one that closed it.
	EntrySignal string `json:"entry_signal,omitempty"`
	ExitSignal  string `json:"exit_signal,omitempty"`
	// Of a script's trade: its best and its worst open profit, as positive money.
	Runup    float64 `json:"runup,omitempty"`
	Drawdown float64 `json:"drawdown,omitempty"`
}

// Return is the return of one period: of a day, or of a bar when bars are a day or longer.
type Return struct {
	Bar    int       `json:"bar"` // with which the period ends
	Time   time.Time `json:"time"`
	Return float64   `json:"return"` // a fraction
}

// Equity is the equity at one bar's close.
type Equity struct {
	Bar    int       `json:"bar"`
	Time   time.Time `json:"time"`
	Equity float64   `json:"equity"`
}
