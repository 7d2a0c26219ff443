package walkforward_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/walkforward"
)

// A subscriber learns of a fold that cannot be run as of any other that fails.
func TestAFoldThatCannotBeRunIsAnEventOfTheSubmission(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	config := sweep.WFOConfig{TrainDays: new(100), TestDays: new(50), AllowPartial: new(true), MinFolds: new(1)}
	config.Normalize()
	in := walkforward.NewRun{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Config: config, Trials: 4}
	for i, problem := range []string{"", "its test has 0 bars", ""} {
		start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 50*i)
		in.Folds = append(in.Folds, sweep.Fold{Index: i, TrainBars: 100, TestBars: 50, Problem: problem,
			TrainTest: sweep.TrainTest{TrainStart: start, TrainEnd: start.AddDate(0, 0, 100), TestEnd: start.AddDate(0, 0, 150)}})
	}
	var id string
	_, err := d.Store.WalkForward.Create(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k"}, in,
		func(w *walkforward.Run, _ []walkforward.Fold) (store.Response, error) {
			id = w.ID.String()
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(t, err)
	rows, err := d.Owner.Query(t.Context(), `select payload::text from event_log where entity_id = $1 and type = 'wfo.fold.failed'`, id)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.JSONEq(t, `{"fold": 1, "status": "failed", "tune_id": null, "best_score": null, "error": "its test has 0 bars"}`, events[0])
}
