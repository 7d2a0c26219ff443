package upkeep_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

// makeTune inserts a tune that ended some days ago, with two shards of trials and three leaders.
func makeTune(d *storetest.Fixture, days int) uuid.UUID {
	d.T.Helper()
	id := uuid.New()
	d.Exec(`
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, ranking, created_at, completed_at)
		values ($1, $2, $3, 'sma_cross', 'sharpe', 'grid', '{}', 'completed', true, 4, '{1,0,2,3}', now() - make_interval(days => $4), now() - make_interval(days => $4))`,
		id, d.Space.ID, d.Dataset.ID, days)
	d.Exec(`
		insert into tune_shards (tune_id, workspace_id, shard, first_trial, n_trials, start_cursor, done, columns)
		select $1, $2, i, i * 2, 2, 0, true, 'x' from generate_series(0, 1) i`, id, d.Space.ID)
	d.Exec(`
		insert into tune_leaderboard (tune_id, rank, workspace_id, dataset_id, strategy, objective, trial_index, score, entry)
		select $1, i, $2, $3, 'sma_cross', 'sharpe', i, 1, '{}' from generate_series(1, 3) i`, id, d.Space.ID, d.Dataset.ID)
	return id
}

// makeWalkForward inserts a walk-forward that ended some days ago, with folds, each a tune with three leaders.
func makeWalkForward(d *storetest.Fixture, days, folds int) (id uuid.UUID, tunes []uuid.UUID) {
	d.T.Helper()
	id = uuid.New()
	d.Exec(`
		insert into wfo_runs (id, workspace_id, dataset_id, strategy, objective, search_type, spec, config, status, admitted, n_folds, n_trials,
		                      min_folds, top_k, allow_partial, candidates_job_id, created_at, completed_at)
		values ($1, $2, $3, 'sma_cross', 'sharpe', 'grid', '{}', '{}', 'completed', true, $5, 4, 1, 3, false, 1,
		        now() - make_interval(days => $4), now() - make_interval(days => $4))`, id, d.Space.ID, d.Dataset.ID, days, folds)
	for i := range folds {
		tune := makeTune(d, days)
		d.Exec(`update tunes set wfo_id = $2, wfo_fold = $3 where id = $1`, tune, id, i)
		d.Exec(`
			insert into wfo_folds (wfo_id, fold, workspace_id, train_start, train_end, test_end, train_bars, test_bars, tune_id)
			values ($1, $2, $3, now(), now(), now(), 1, 1, $4)`, id, i, d.Space.ID, tune)
		tunes = append(tunes, tune)
	}
	d.Exec(`insert into wfo_candidates (wfo_id, rank, workspace_id, entry) select $1, i, $2, '{}' from generate_series(1, 5) i`, id, d.Space.ID)
	return id, tunes
}

// makePlan inserts a run plan that ended some days ago, with one variant.
func makePlan(d *storetest.Fixture, days int) (id, variant uuid.UUID) {
	d.T.Helper()
	id, variant = uuid.New(), makeTune(d, days)
	d.Exec(`
		insert into run_plans (id, workspace_id, base, plan, status, variants, created_at, completed_at)
		values ($1, $2, '{}', '{}', 'completed', 1, now() - make_interval(days => $3), now() - make_interval(days => $3))`, id, d.Space.ID, days)
	d.Exec(`
		insert into run_plan_variants (run_plan_id, ordinal, workspace_id, variant_id, kind, label, overrides, tune_id)
		values ($1, 0, $2, '0123456789abcdef', 'baseline', 'b', '{}', $3)`, id, d.Space.ID, variant)
	return id, variant
}

func keepTag(d *storetest.Fixture, kind string, id uuid.UUID) {
	d.T.Helper()
	d.Exec(`insert into labels (subject_id, workspace_id, kind, tags) values ($1, $2, $3, '{baseline,keep}')`, id, d.Space.ID, kind)
}

func exists(d *storetest.Fixture, table string, id uuid.UUID) bool {
	d.T.Helper()
	return d.Count(`select count(*) from `+table+` where id = $1`, id) == 1
}

// The trials of old tunes go, and their summaries and leaderboards stay; a read of the trials says when they went.
func TestTrialsOfOldTunesAreDroppedAndReadsSaySo(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	old, young, tagged, archived := makeTune(d, 181), makeTune(d, 179), makeTune(d, 400), makeTune(d, 400)
	keepTag(d, "tune", tagged)
	d.Exec(`update tunes set archived_at = now() where id = $1`, archived)
	_, folds := makeWalkForward(d, 181, 2)
	kept, keptFolds := makeWalkForward(d, 181, 1)
	keepTag(d, "wfo", kept)
	pinned, variant := makePlan(d, 200)
	d.Exec(`update run_plans set pinned = true where id = $1`, pinned)

	require.EqualValues(t, 6, prune(d, "tune_trials", true).Deleted)
	require.EqualValues(t, 6, prune(d, "tune_trials", false).Deleted)
	require.Zero(t, prune(d, "tune_trials", false).Deleted)
	for _, id := range append([]uuid.UUID{old}, folds...) {
		tune, err := d.Store.Tuning.Get(t.Context(), d.Space.ID, id)
		require.NoError(t, err)
		require.NotNil(t, tune.TrialsDroppedAt)
		var dropped *tuning.TrialsDroppedError
		_, err = d.Store.Tuning.TrialShards(t.Context(), d.Space.ID, id, 0, 10)
		require.ErrorAs(t, err, &dropped)
		require.Equal(t, id, dropped.Tune)
		_, _, err = d.Store.Tuning.RankedShards(t.Context(), d.Space.ID, id, 0, 10)
		require.ErrorAs(t, err, &dropped)
		entries, err := d.Store.Tuning.LeaderboardOf(t.Context(), d.Space.ID, id, 10)
		require.NoError(t, err)
		require.Len(t, entries, 3)
		parts, err := d.Store.Tuning.Parts(t.Context(), tune)
		require.NoError(t, err)
		require.NotContains(t, parts, "trials")
	}
	for what, id := range map[string]uuid.UUID{"young": young, "tagged keep": tagged, "archived": archived, "fold of one that is kept": keptFolds[0], "of a pinned plan": variant} {
		shards, err := d.Store.Tuning.TrialShards(t.Context(), d.Space.ID, id, 0, 10)
		require.NoError(t, err, what)
		require.Len(t, shards, 2, what)
	}
}

// Old results go whole; what was archived or tagged keep stays, and what belongs to something goes with it.
func TestOldResultsAreRemovedUnlessTheyAreKept(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	old, young, tagged, archived := makeTune(d, 1096), makeTune(d, 1094), makeTune(d, 2000), makeTune(d, 2000)
	keepTag(d, "tune", tagged)
	d.Exec(`update tunes set archived_at = now() where id = $1`, archived)
	wfo, folds := makeWalkForward(d, 1096, 3)
	keptWFO, keptFolds := makeWalkForward(d, 1096, 1)
	keepTag(d, "wfo", keptWFO)
	plan, variant := makePlan(d, 1096)
	pinned, pinnedVariant := makePlan(d, 1096)
	d.Exec(`update run_plans set pinned = true where id = $1`, pinned)

	require.EqualValues(t, 1, prune(d, "tunes", true).Deleted, "folds and variants are not counted")
	require.EqualValues(t, 1, prune(d, "run_plans", false).Deleted)
	require.EqualValues(t, 1, prune(d, "walk_forwards", true).Deleted)
	// Nine leaders, five candidates and the walk-forward; six shards with them.
	require.EqualValues(t, 21, prune(d, "walk_forwards", false).Deleted)
	require.EqualValues(t, 2, prune(d, "tunes", false).Deleted, "with the variant, which is a tune like others once its plan is gone")
	for _, job := range []string{"run_plans", "walk_forwards", "tunes"} {
		require.Zero(t, prune(d, job, false).Deleted, job)
	}
	for table, ids := range map[string][]uuid.UUID{"tunes": append(folds, old, variant), "wfo_runs": {wfo}, "run_plans": {plan}} {
		for _, id := range ids {
			require.False(t, exists(d, table, id), "%s %s is there", table, id)
		}
	}
	for table, ids := range map[string][]uuid.UUID{
		"tunes": append(keptFolds, young, tagged, archived, pinnedVariant), "wfo_runs": {keptWFO}, "run_plans": {pinned},
	} {
		for _, id := range ids {
			require.True(t, exists(d, table, id), "%s %s is gone", table, id)
		}
	}
	require.Equal(t, 5*3, d.Count(`select count(*) from tune_leaderboard`))
}

// A walk-forward that one batch cannot take is hidden from its first row on, and what a deletion hid is left to it.
func TestAHalfRemovedWalkForwardIsNotSeen(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	id, folds := makeWalkForward(d, 1096, 40)
	deleting, _ := makeWalkForward(d, 1096, 1)
	d.Exec(`update wfo_runs set deleted_at = now() where id = $1`, deleting)
	d.Exec(`
		with d as (insert into deletions (id, workspace_id, kind, items, river_job_id) values (gen_random_uuid(), $1, 'wfo', 1, 1) returning id)
		insert into deletion_items (deletion_id, ordinal, workspace_id, kind, subject_id) select id, 1, $1, 'wfo', $2 from d`, d.Space.ID, deleting)
	// seen is how many rows of a table the workspace sees.
	seen := func(table string) (n int) {
		t.Helper()
		require.NoError(t, d.Store.DB.InWorkspace(t.Context(), d.Space.ID, func(tx *store.Tx) error {
			return tx.QueryRow(t.Context(), `select count(*) from `+table+` where id = any ($1)`, append([]uuid.UUID{id}, folds...)).Scan(&n)
		}))
		return n
	}
	require.Equal(t, 1, seen("wfo_runs"))
	require.Equal(t, 40, seen("tunes"))
	var gone int64
	var more bool
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select gone, more from retention_walk_forwards(now() - interval '1095 days', 100, false)`).Scan(&gone, &more))
	require.EqualValues(t, 100, gone)
	require.True(t, more)
	require.True(t, exists(d, "wfo_runs", id))
	require.Zero(t, seen("wfo_runs"))
	require.Zero(t, seen("tunes"))
	prune(d, "walk_forwards", false)
	require.False(t, exists(d, "wfo_runs", id))
	require.True(t, exists(d, "wfo_runs", deleting))
}

// The totals of the metrics do not fall when the log of the retention jobs loses its beginning.
func TestTotalsOutliveTheRetentionLog(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.Exec(`
		insert into retention_job_log (job_name, source, started_at, finished_at, dry_run, age, batch_size, rows_deleted, ok)
		select 'trade_events', 'river', now() - make_interval(days => 300 + i), now() - make_interval(days => 300 + i), i % 10 = 0, '1 day', 100, 7, i % 5 <> 1
		  from generate_series(1, 100) i`)
	before, err := d.Store.Upkeep.FleetFigures(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 36, prune(d, "retention_log", true).Deleted)
	require.EqualValues(t, 36, prune(d, "retention_log", false).Deleted)
	after, err := d.Store.Upkeep.FleetFigures(t.Context())
	require.NoError(t, err)
	for i, figures := range before.Retention {
		if figures.Job == "trade_events" {
			require.EqualValues(t, 630, figures.Deleted)
			require.Equal(t, figures, after.Retention[i])
		}
	}
}

// Windows are set by the job's name; what is not named, or 0, stays.
func TestWindowsAreSet(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	require.NoError(t, d.Store.Upkeep.SetWindows(t.Context(), map[string]int{"tunes": 30, "audit_log": 0}))
	makeTune(d, 31)
	makeTune(d, 29)
	require.EqualValues(t, 1, prune(d, "tunes", true).Deleted)
	status, err := d.Store.Upkeep.RetentionStatus(t.Context())
	require.NoError(t, err)
	for _, job := range status.Jobs {
		of, known := jobs.RetentionOf(job.Name)
		require.True(t, known)
		days := of.Days
		if job.Name == "tunes" {
			days = 30
		}
		require.EqualValues(t, days, job.Age.Hours()/24, job.Name)
	}
	var deleted int64
	require.NoError(t, d.Owner.QueryRow(t.Context(), `call retention_prune_tunes(batch_size => 500)`).Scan(&deleted, nil))
	require.EqualValues(t, 1, deleted, "also when pg_cron, or someone by hand, calls the procedure")
}
