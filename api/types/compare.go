package types

import (
	"encoding/json"
)

// ComparedTune heads a column of a comparison.
type ComparedTune struct {
	TuneID       string     `json:"tune_id"`
	Status       TuneStatus `json:"status"`
	Dataset      string     `json:"dataset"`
	StrategyName string     `json:"strategy_name"`
}

// ComparedField is a row of it: one field of every tune, null where a tune has none.
type ComparedField struct {
	Group   string            `json:"group"` // settings, result, params, metrics_is, metrics_oos, overfit, regime
	Field   string            `json:"field"`
	Differs bool              `json:"differs"`
	Values  []json.RawMessage `json:"values"` // in order of the tunes
}

// Comparison is tunes side by side.
type Comparison struct {
	Tunes   []ComparedTune  `json:"tunes"`
	Fields  []ComparedField `json:"fields"`
	Differs []string        `json:"differs"` // group.field of the settings and parameters that are not the same in all
}
