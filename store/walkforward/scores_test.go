package walkforward_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
)

// A score that is saved inserts the jobs that follow it in SQL; each is as River would have inserted it.
func TestScoresInsertJobsAsRiverDoes(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	wfo, folds := d.WalkForward("w", 3, false)
	for _, f := range folds {
		d.RunFold(f, storetest.OutcomeOf(5))
	}
	lease := d.Claim(d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID), "w")
	require.NoError(t, d.Store.WalkForward.BeginScoring(ctx, lease, wfo.ID, []float64{5, 50}))
	row := func(kind string) (text string) {
		require.NoError(t, d.Owner.QueryRow(ctx, `
			select (to_jsonb(j) - 'id' - 'created_at' - 'scheduled_at' - 'args')::text || (args - 'fold')::text
			    || (created_at <= clock_timestamp() and scheduled_at <= clock_timestamp())
			  from river_job j where kind = $1 and state = 'available' and unique_key is null order by id desc limit 1`, kind).Scan(&text))
		return text
	}
	score := row("wfo.score")
	require.Equal(t, 2, d.Count(`select count(*) from river_job where kind = 'wfo.score'`), "more than keep the slots busy")
	for i := range folds {
		job := d.JobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = $2`, wfo.ID, i)
		held := d.Claim(job, "w")
		require.NoError(t, d.Store.WalkForward.FinishScore(ctx, held, wfo.ID, i, []float64{1}, sweep.Stretch{}))
		require.ErrorIs(t, d.Store.WalkForward.FinishScore(ctx, held, wfo.ID, i, []float64{1}, sweep.Stretch{}), store.ErrFenced)
	}
	require.Equal(t, 3, d.Count(`select count(*) from river_job where kind = 'wfo.score'`))
	collect := row("wfo.collect")
	require.Equal(t, d.JobOf(`select id from river_job where kind = 'wfo.collect'`), d.JobOf(`select collect_job_id from wfo_runs where id = $1`, wfo.ID))
	err := d.Store.InWorkspace(ctx, d.Space.ID, func(tx *store.Tx) error {
		if _, err := d.Store.River().InsertTx(ctx, tx, jobs.WFOScoreArgs{WorkspaceID: d.Space.ID, WFOID: wfo.ID, Fold: 1}, nil); err != nil {
			return err
		}
		_, err := d.Store.River().InsertTx(ctx, tx, jobs.WFOCollectArgs{WorkspaceID: d.Space.ID, WFOID: wfo.ID}, nil)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, row("wfo.score"), score)
	require.Equal(t, row("wfo.collect"), collect)
}

// A fold is scored with the next successful one read beside it, over folds that failed between them; the last one alone.
func TestAFoldIsScoredWithTheNextSuccessfulOne(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	run, folds := d.WalkForward("w", 4, true)
	d.Exec(`update wfo_folds set status = case when fold = 1 then 'failed' else 'completed' end where wfo_id = $1`, run.ID)
	for fold, want := range map[int][]int{0: {0, 2}, 2: {2, 3}, 3: {3}} {
		work, err := d.Store.WalkForward.ScoreWork(t.Context(), d.Space.ID, run.ID, fold)
		require.NoError(t, err)
		var got []int
		for _, f := range work.Folds {
			got = append(got, f.Index)
			require.True(t, f.TrainEnd.Equal(folds[f.Index].TrainEnd))
		}
		require.Equal(t, want, got)
	}
	_, err := d.Store.WalkForward.ScoreWork(t.Context(), d.Space.ID, run.ID, 4)
	require.ErrorIs(t, err, store.ErrNotFound)
}
