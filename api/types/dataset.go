package types

import (
	"time"
)

// Dataset is a dataset.
type Dataset struct {
	DatasetID string    `json:"dataset_id"`
	Name      string    `json:"name"`
	Symbol    string    `json:"symbol"`
	Timeframe string    `json:"timeframe"`
	Calendar  int       `json:"calendar"`
	Bars      int       `json:"bars"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	SHA256    string    `json:"sha256"`
	CreatedAt time.Time `json:"created_at"`
}
