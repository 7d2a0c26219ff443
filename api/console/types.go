package console

import (
	"encoding/json"
	"fmt"
	"strings"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// tune is a tune of the API with what its pages ask of it.
type tune struct{ types.Tune }

// Dataset names what the tune runs over.
func (t tune) Dataset() string { return strings.Join(t.Datasets, ", ") }

// Ended reports whether nothing more happens to the tune.
func (t tune) Ended() bool { return t.Status.Ended() }

// Overfit is the evidence of a completed tune, or nil.
func (t tune) Overfit() *types.Overfit { return t.Tune.Overfit.Value }

// Evidence is the verdict on a completed tune, or nil.
func (t tune) Evidence() *types.Evidence { return t.Tune.Evidence.Value }

// Gates are the limits of a completed tune, or nil.
func (t tune) Gates() *types.Gates { return t.Tune.Gates.Value }

// best is the first of the leaderboard, or nil when it is empty.
func (t tune) best() *types.Entry {
	if len(t.Leaderboard) == 0 {
		return nil
	}
	return &t.Leaderboard[0].Value
}

// searchOf is what a tune or a walk-forward searches, as the search itself knows it.
func searchOf(s types.Spec) (sweep.Spec, error) {
	var spec sweep.Spec
	raw, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(raw, &spec)
	}
	if err != nil {
		return spec, fmt.Errorf("read the search of the API's answer: %w", err)
	}
	return spec, nil
}

// pager leads from one page of a list to the next.
type pager struct {
	Here        bool // somewhere behind the first page
	First, Next string
}
