package tuning_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

func TestCancelingARunPlanThatOthersHaveEndedIsRefused(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	plan, tunes := runPlan(d, "k", 1)
	hold := d.Open(`select pg_advisory_xact_lock(hashtextextended('` + tunes[0].String() + `', 0))`)
	both := make(chan error, 2)
	for range 2 {
		go func() { both <- d.Store.Tuning.CancelRunPlan(ctx, d.Space.ID, plan) }()
	}
	d.AwaitBlockedBy(2)
	require.NoError(t, hold.Commit(ctx))
	first, second := <-both, <-both
	if first == nil {
		first, second = second, first
	}
	require.NoError(t, second)
	require.ErrorIs(t, first, store.ErrEnded, "two cancels of one plan both say that they did it")
}

// A plan takes a place of the queue for each of its variants.
func TestARunPlanStaysWithinTheDepthOfTheQueue(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, _ = runPlan(d, "first", 3)
	submit := func(key string, variants int) error {
		_, err := d.Store.Tuning.CreateRunPlan(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key, QueueDepth: 5}, planOf(d, variants),
			func(*tuning.RunPlan, []tuning.RunPlanVariant) (store.Response, error) {
				return store.Response{Status: http.StatusAccepted}, nil
			})
		return err
	}
	require.ErrorIs(t, submit("too many", 3), store.ErrQueueFull)
	require.Equal(t, 3, d.Count(`select count(*) from tunes`))
	require.NoError(t, submit("as many as there is room for", 2))
	require.ErrorIs(t, submit("one more", 1), store.ErrQueueFull)
}

// runPlan submits a plan with so many variants, and returns it with their tunes.
func runPlan(d *storetest.Fixture, key string, variants int) (uuid.UUID, []uuid.UUID) {
	d.T.Helper()
	in := planOf(d, variants)
	var id uuid.UUID
	var tunes []uuid.UUID
	_, err := d.Store.Tuning.CreateRunPlan(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key}, in,
		func(plan *tuning.RunPlan, all []tuning.RunPlanVariant) (store.Response, error) {
			id = plan.ID
			for _, v := range all {
				tunes = append(tunes, v.TuneID)
			}
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(d.T, err)
	return id, tunes
}

// planOf is a plan with so many variants.
func planOf(d *storetest.Fixture, variants int) tuning.NewRunPlan {
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	in := tuning.NewRunPlan{Name: "plan", Base: json.RawMessage(`{}`), Plan: json.RawMessage(`{}`)}
	for i := range variants {
		in.Variants = append(in.Variants, tuning.NewVariant{
			ID: fmt.Sprintf("%016x", i), Kind: "grid", Label: "l", Overrides: json.RawMessage(`{}`),
			Tune: tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Trials: 4},
		})
	}
	return in
}
