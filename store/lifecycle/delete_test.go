package lifecycle_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/market"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

func request(kind lifecycle.Kind, ids ...uuid.UUID) lifecycle.Request {
	return lifecycle.Request{Kind: kind, IDs: ids}
}

func cascade(kind lifecycle.Kind, ids ...uuid.UUID) lifecycle.Request {
	return lifecycle.Request{Kind: kind, IDs: ids, Cascade: true}
}

// lease claims the job of a deletion.
func lease(d *storetest.Fixture, id uuid.UUID) store.Lease {
	return d.Claim(d.JobOf(`select river_job_id from deletions where id = $1`, id), "w")
}

// work runs the job of a deletion to its end, and returns how many transactions it took.
func work(d *storetest.Fixture, id uuid.UUID) (steps int) {
	d.T.Helper()
	held := lease(d, id)
	for done := false; !done; steps++ {
		var err error
		done, err = d.Store.Lifecycle.Step(d.T.Context(), held, id)
		require.NoError(d.T, err)
	}
	require.NoError(d.T, d.Store.Lifecycle.Finish(d.T.Context(), held, id))
	return steps
}

// plan submits a run plan of so many variants.
func runPlan(d *storetest.Fixture, key string, variants int) (uuid.UUID, []tuning.RunPlanVariant) {
	d.T.Helper()
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10}}}}
	spec.Normalize()
	in := tuning.NewRunPlan{Name: "plan", Base: []byte(`{}`), Plan: []byte(`{}`)}
	for i := range variants {
		in.Variants = append(in.Variants, tuning.NewVariant{
			ID: "000000000000000" + string(rune('a'+i)), Kind: "override", Label: "v", Overrides: []byte(`{}`),
			Tune: tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Trials: 2},
		})
	}
	var id uuid.UUID
	var made []tuning.RunPlanVariant
	_, err := d.Store.Tuning.CreateRunPlan(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "plan", Key: key}, in,
		func(p *tuning.RunPlan, v []tuning.RunPlanVariant) (store.Response, error) {
			id, made = p.ID, v
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(d.T, err)
	return id, made
}

func putRun(ctx context.Context, d *storetest.Fixture, key string, dataset uuid.UUID) (id uuid.UUID, err error) {
	_, err = d.Store.Market.PutRun(ctx, store.Submission{Workspace: d.Space.ID, Route: "run", Key: key},
		market.Run{DatasetID: dataset, Strategy: "sma_cross", Spec: []byte(`{}`), Metrics: backtest.Metrics{}, Equity: []float64{1, 2}},
		func(r *market.Run) (store.Response, error) {
			id = r.ID
			return store.Response{Status: http.StatusCreated}, nil
		})
	return id, err
}

func refused(t *testing.T, err error) *lifecycle.Plan {
	t.Helper()
	var r *lifecycle.RefusedError
	require.ErrorAs(t, err, &r)
	return r.Plan
}

// rowsOf counts what the tables of tunes, walk-forwards, plans and runs still hold.
func rowsOf(d *storetest.Fixture) int {
	return d.Count(`select (select count(*) from tunes) + (select count(*) from tune_shards) + (select count(*) from tune_leaderboard)
		+ (select count(*) from tune_progress) + (select count(*) from wfo_runs) + (select count(*) from wfo_folds) + (select count(*) from wfo_progress)
		+ (select count(*) from run_plans) + (select count(*) from run_plan_variants) + (select count(*) from backtest_runs)
		+ (select count(*) from deletion_items)`)
}

func TestADeletedTuneIsNotSeenFromThenOnAndItsRowsGo(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	kept, _ := d.Tune("2")
	require.NoError(t, d.Store.Tuning.Complete(ctx, d.ToCollect(tune.ID), tune.ID, storetest.OutcomeOf(5, 10)))

	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	require.Equal(t, "queued", made.Status)
	require.Equal(t, 1, made.Items)
	require.Positive(t, d.Count(`select count(*) from tune_shards where tune_id = $1`, tune.ID), "its rows are there until the job runs")
	_, err = d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	list, err := d.Store.Tuning.List(ctx, d.Space.ID, tuning.Filter{}, store.Page{}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, kept.ID, list[0].ID)
	standings, err := d.Store.Tuning.Leaderboard(ctx, d.Space.ID, tuning.LeaderboardFilter{Objective: string(tune.Spec.ObjectiveType)}, tuning.StandingKey{}, 10)
	require.NoError(t, err)
	require.Empty(t, standings, "the leaderboard of the workspace shows a tune that is being deleted")
	require.ErrorIs(t, d.Store.Lifecycle.Archive(ctx, d.Space.ID, lifecycle.Tune, tune.ID, true), store.ErrNotFound)

	again, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	require.Equal(t, made.ID, again.ID, "a repeat is answered with the deletion that runs")

	work(d, made.ID)
	done, err := d.Store.Lifecycle.Deletion(ctx, d.Space.ID, made.ID)
	require.NoError(t, err)
	require.Equal(t, "completed", done.Status)
	require.Equal(t, 1, done.ItemsDone)
	require.Positive(t, done.RowsDeleted)
	require.Equal(t, []string{"backtest.tune.deleting", "backtest.tune.deleted"}, d.EventTypes(tune.ID)[len(d.EventTypes(tune.ID))-2:])
	require.Zero(t, d.Count(`select (select count(*) from tunes where id = $1) + (select count(*) from tune_shards where tune_id = $1)
		+ (select count(*) from tune_leaderboard where tune_id = $1) + (select count(*) from tune_progress where tune_id = $1)`, tune.ID))
	require.Equal(t, tuning.Queued, d.TuneStatus(kept.ID))
	_, err = d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Tune, tune.ID))
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestWhatRunsIsRefusedOrCancelledFirst(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, job := d.Tune("1")
	_, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Tune, tune.ID))
	require.Equal(t, tune.ID, refused(t, err).Active[0].ID)
	require.Equal(t, tuning.Queued, d.TuneStatus(tune.ID))
	require.Equal(t, "available", d.JobState(job))

	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	require.Equal(t, "cancelled", d.JobState(job))
	require.Equal(t, []string{"backtest.tune.queued", "backtest.tune.canceled", "backtest.tune.deleting"}, d.EventTypes(tune.ID))
	work(d, made.ID)
	require.Zero(t, rowsOf(d))
}

// A worker that runs a shard of a tune while this is deleted writes nothing, and has no tune to fail.
func TestAShardOfADeletedTuneWritesNothing(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, plan := d.Tune("1")
	require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: storetest.TwoShards()}))
	shard := d.Claim(d.ShardJob(tune.ID, 0), "w")
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and metadata ? 'cancel_attempted_at'`, shard.JobID), "its worker is asked to stop")
	err = d.Store.Tuning.FinishShard(ctx, shard, tune.ID, tuning.ShardDone{Completed: 2, Columns: []byte{1}})
	require.True(t, errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrEnded), "%v", err)
	work(d, made.ID)
	require.Zero(t, rowsOf(d))
}

func TestADatasetIsRefusedWhileOthersDependOnIt(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	wfo, folds := d.WalkForward("2", 3, false)
	planID, variants := runPlan(d, "3", 2)
	run, err := putRun(ctx, d, "4", d.Dataset.ID)
	require.NoError(t, err)

	_, err = d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Dataset, d.Dataset.ID))
	p := refused(t, err)
	var named []uuid.UUID
	for _, ref := range p.Dependants {
		named = append(named, ref.ID)
	}
	require.ElementsMatch(t, []uuid.UUID{tune.ID, wfo.ID, planID, run, variants[0].TuneID, variants[1].TuneID}, named)
	require.Equal(t, map[lifecycle.Kind]int{
		lifecycle.Dataset: 1, lifecycle.Tune: 1 + len(variants) + len(folds), lifecycle.WalkForward: 1, lifecycle.RunPlan: 1, lifecycle.Run: 1,
	}, p.Deletes)
	_, err = d.Store.Market.Dataset(ctx, d.Space.ID, "walk")
	require.NoError(t, err, "a refused deletion changes nothing")

	_, err = d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Tune, *folds[0].TuneID))
	require.NoError(t, err)
	_, err = d.Store.WalkForward.Get(ctx, d.Space.ID, wfo.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "the walk-forward goes with its fold")

	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Dataset, d.Dataset.ID))
	require.NoError(t, err)
	_, _, err = d.Store.Tuning.RunPlan(ctx, d.Space.ID, planID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = d.Store.Market.RunDetail(ctx, d.Space.ID, run)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = d.Store.Market.PutDataset(ctx, d.Space.ID, market.Dataset{Name: "walk", Symbol: "V", Timeframe: "1d", Calendar: 252}, d.Bars)
	require.NoError(t, err, "the name is free at once")
	first := idOf(d, `select id from deletions where id <> $1`, made.ID)
	held := lease(d, made.ID)
	for done := false; err == nil; {
		require.False(t, done)
		done, err = d.Store.Lifecycle.Step(ctx, held, made.ID)
	}
	require.ErrorIs(t, err, lifecycle.ErrWaits, "the rows of the walk-forward still refer to the dataset")
	work(d, first)
	work(d, made.ID)
	require.Zero(t, rowsOf(d))
	require.Equal(t, 1, d.Count(`select count(*) from datasets`))
}

func idOf(d *storetest.Fixture, query string, args ...any) (id uuid.UUID) {
	d.T.Helper()
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), query, args...).Scan(&id))
	return id
}

// The parts of what is named are not in its way, and a part names what it belongs to.
func TestPartsGoWithTheWholeAndHoldItTogether(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	id, variants := runPlan(d, "1", 2)
	require.NoError(t, d.Store.Tuning.CancelRunPlan(ctx, d.Space.ID, id))
	_, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Tune, variants[1].TuneID))
	p := refused(t, err)
	require.Equal(t, []lifecycle.Ref{{Kind: lifecycle.RunPlan, ID: id, Name: "plan", Status: "canceled"}}, p.Dependants)
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.RunPlan, id))
	require.NoError(t, err)
	require.Equal(t, 3, made.Items)
	work(d, made.ID)
	require.Zero(t, rowsOf(d))
	again, _ := runPlan(d, "2", 1)
	require.NotEqual(t, id, again)
}

func TestDeletingTheNewestVersionMakesTheOneBeforeTheNewest(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	rewritten := d.Bars.Slice(0, d.Bars.Len())
	second, err := d.Store.Market.Extend(ctx, d.Space.ID, "walk", market.Extension{Bars: doubled(rewritten), Rewrite: true, Reading: []byte(`{}`)})
	require.NoError(t, err)
	require.Equal(t, 2, second.Dataset.Version)
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Dataset, second.Dataset.ID))
	require.NoError(t, err)
	newest, err := d.Store.Market.Dataset(ctx, d.Space.ID, "walk")
	require.NoError(t, err)
	require.Equal(t, d.Dataset.ID, newest.ID)
	work(d, made.ID)
	require.Equal(t, 1, d.Count(`select count(*) from datasets`))
}

// A number that stood for other bars must not come to stand for these.
func TestTheNumberOfADeletedVersionIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	rewrite := market.Extension{Bars: doubled(d.Bars.Slice(0, d.Bars.Len())), Rewrite: true, Reading: []byte(`{}`)}
	second, err := d.Store.Market.Extend(ctx, d.Space.ID, "walk", rewrite)
	require.NoError(t, err)
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Dataset, second.Dataset.ID))
	require.NoError(t, err)
	third, err := d.Store.Market.Extend(ctx, d.Space.ID, "walk", rewrite)
	require.NoError(t, err, "while the deletion's job has not run")
	require.Equal(t, 3, third.Dataset.Version)
	require.Equal(t, "walk@3", third.Dataset.FullName)
	work(d, made.ID)
	_, err = d.Store.Market.Dataset(ctx, d.Space.ID, "walk@2")
	require.ErrorIs(t, err, store.ErrNotFound)
	currency := "EUR"
	described, changed, err := d.Store.Market.Describe(ctx, d.Space.ID, "walk", market.Description{Currency: &currency}, func(*market.Dataset) error { return nil })
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, 4, described.Version)
}

func doubled(b *backtest.Bars) *backtest.Bars {
	twice := *b
	for _, column := range []*[]float64{&twice.Open, &twice.High, &twice.Low, &twice.Close} {
		own := make([]float64, len(*column))
		for i, v := range *column {
			own[i] = 2 * v
		}
		*column = own
	}
	return &twice
}

func TestAnotherWorkspaceDeletesAndArchivesNothingHere(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	other, err := d.Store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	tune, _ := d.Tune("1")
	wfo, _ := d.WalkForward("2", 2, false)
	planID, _ := runPlan(d, "3", 1)
	run, err := putRun(ctx, d, "4", d.Dataset.ID)
	require.NoError(t, err)
	for kind, id := range map[lifecycle.Kind]uuid.UUID{
		lifecycle.Tune: tune.ID, lifecycle.WalkForward: wfo.ID, lifecycle.RunPlan: planID, lifecycle.Run: run, lifecycle.Dataset: d.Dataset.ID,
	} {
		_, err := d.Store.Lifecycle.Preview(ctx, other.ID, request(kind, id))
		require.ErrorIs(t, err, store.ErrNotFound, kind)
		_, err = d.Store.Lifecycle.Delete(ctx, other.ID, cascade(kind, id))
		require.ErrorIs(t, err, store.ErrNotFound, kind)
		if kind != lifecycle.Run { // there is no list of runs
			require.ErrorIs(t, d.Store.Lifecycle.Archive(ctx, other.ID, kind, id, true), store.ErrNotFound, kind)
		}
	}
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	_, err = d.Store.Lifecycle.Deletion(ctx, other.ID, made.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = d.Store.Lifecycle.Delete(ctx, other.ID, cascade(lifecycle.Tune, tune.ID))
	require.ErrorIs(t, err, store.ErrNotFound, "nor learns that it is being deleted")
}
