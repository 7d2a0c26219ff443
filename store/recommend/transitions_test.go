package recommend_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store/recommend"
	"millrace/store/storetest"
)

func TestTransitionsEndNothingTwiceAndAreRefusedAfterTheEnd(t *testing.T) {
	t.Parallel()
	storetest.RunTransitions(t, gapMachines())
}

func gapMachines() []storetest.Machine {
	return []storetest.Machine{
		{Name: "gap", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			intent := knowledge.Intent{Kind: "query", Parts: []string{key}}
			record := func(name string, matches int, best float64) storetest.Move {
				return storetest.Move{Name: name, Always: true, Do: func(ctx context.Context) error {
					_, err := d.Store.Recommend.RecordMatch(ctx, d.Space.ID, recommend.NewMatchRun{
						Text: key, Intent: intent, Request: struct{}{}, Status: knowledge.RecommendOK, Matches: matches, Best: best})
					return err
				}}
			}
			id, err := d.Store.Recommend.RecordMatch(d.T.Context(), d.Space.ID, recommend.NewMatchRun{
				Text: key, Intent: intent, Request: struct{}{}, Status: knowledge.RecommendNone})
			require.NoError(d.T, err)
			return []storetest.Subject{{Name: "gap", Args: []any{id},
					Status: `select coverage_status from match_runs where id = $1`,
					Events: `select payload ->> 'coverage_status' from event_log where entity_id = $1::uuid::text order by xid, id`,
				}}, []storetest.Move{
					record("match weakly", 0, 0), record("match well", 20, 0.9),
					{Name: "acknowledge", Do: func(ctx context.Context) error {
						_, err := d.Store.Recommend.AcknowledgeGap(ctx, id, "admin")
						return err
					}},
					{Name: "resolve", Do: func(ctx context.Context) error {
						_, err := d.Store.Recommend.ResolveGap(ctx, id, "admin", recommend.GapAnswer{Note: "n"})
						return err
					}, Subject: "gap", Ends: "resolved"},
				}
		}},
	}
}
