package types

import "time"

// LabelRequest is the body of PUT /backtests/tunes/{id}/label, and of that of walk-forwards and datasets. What is left out is empty.
type LabelRequest struct {
	Name string   `json:"name"` // at most 200 characters
	Note string   `json:"note"` // at most 10,000 characters
	Tags []string `json:"tags"` // at most 20, of at most 50 characters each
}

// Label is what people call a tune, a walk-forward or a dataset, with what it is found by.
type Label struct {
	Kind      string    `json:"kind"` // tune, wfo or dataset
	ID        string    `json:"id"`   // of the tune, walk-forward or dataset
	Name      string    `json:"name"`
	Note      string    `json:"note"`
	Tags      []string  `json:"tags"`
	Strategy  string    `json:"strategy_name"` // "" of a dataset
	Dataset   string    `json:"dataset"`
	Status    string    `json:"status"` // "" of a dataset
	CreatedAt time.Time `json:"created_at"`
}
