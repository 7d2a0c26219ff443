package tuning

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
)

// A list reads its page by an index, however many tunes and folds a workspace has, and so does the count of a day's trials.
func TestListsOfTunesReadTheirPageByAnIndex(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).OwnerPool(t)
	ctx := t.Context()
	space, wfo := uuid.New(), uuid.New()
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(ctx) }()
	_, err = tx.Exec(ctx, `set local session_replication_role = replica`) // without what the rows refer to
	require.NoError(t, err)
	_, err = tx.Exec(ctx, `
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, plan_job_id, created_at, completed_at, wfo_id, wfo_fold)
		select gen_random_uuid(), $1, $1, 'orb', 'sharpe', 'grid', '{}', 'completed', true, 7, i, now() - i * interval '1 minute', now(),
		       case when i % 5 > 0 then case when i < 100 then $2 else gen_random_uuid() end end, case when i % 5 > 0 then i end
		  from generate_series(1, 20000) i`, space, wfo)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, `
		update tunes t set status = rare.status, admitted = rare.admitted
		  from (values (1000, 'failed', true), (2000, 'failed', true), (3000, 'canceled', true), (4000, 'queued', false), (5000, 'queued', true), (6000, 'running', true))
		       rare (job, status, admitted)
		 where t.plan_job_id = rare.job`)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, `analyze tunes`)
	require.NoError(t, err)
	plan := func(sql string, args ...any) string {
		rows, err := tx.Query(ctx, `explain `+sql, args...)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return strings.Join(lines, "\n")
	}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		_, err := tx.Exec(ctx, `set local plan_cache_mode = `+mode)
		require.NoError(t, err)
		for _, c := range []struct {
			filter  Filter
			indexes []string
			many    int // of the page
		}{
			{Filter{}, []string{"tunes_listed"}, 50},
			{Filter{WFO: wfo}, []string{"tunes_wfo_id_wfo_fold_idx"}, 50},
			{Filter{Status: Completed}, []string{"tunes_"}, 50},
			{Filter{Status: Failed}, []string{"tunes_ended"}, 2},
			{Filter{Status: Canceled}, []string{"tunes_ended"}, 1},
			{Filter{Status: Queued}, []string{"tunes_workspace_id_created_at_idx", "tunes_workspace_id_created_at_id_idx1"}, 2},
			{Filter{Status: Running}, []string{"tunes_workspace_id_created_at_idx"}, 1},
		} {
			query, args := `select t.id from tunes t`+listed(c.filter), pgx.NamedArgs{
				"workspace": space, "status": string(c.filter.Status), "strategy": "", "wfo": c.filter.WFO, "archived": nil,
				"before": store.Page{}.Before, "before_id": uuid.Nil, "limit": 50,
			}
			found := plan(query, args)
			for _, index := range c.indexes {
				require.Contains(t, found, index, mode)
			}
			require.NotContains(t, found, "Seq Scan", mode)
			rows, err := tx.Query(ctx, query, args)
			require.NoError(t, err)
			ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			require.NoError(t, err)
			require.Len(t, ids, c.many, "%s %s", mode, c.filter.Status)
		}
	}
	scans := func() (all, listed, folds int64) {
		require.NoError(t, tx.QueryRow(ctx, `select pg_stat_get_xact_numscans('tunes'::regclass), pg_stat_get_xact_numscans('tunes_listed'::regclass),
			pg_stat_get_xact_numscans('tunes_folds_created'::regclass)`).Scan(&all, &listed, &folds))
		return all, listed, folds
	}
	all, listed, folds := scans()
	var day int64
	require.NoError(t, tx.QueryRow(ctx, `select trials_since($1, now() - interval '600 minutes')`, space).Scan(&day))
	require.EqualValues(t, 600*7, day, "of tunes and of folds")
	allThen, listedThen, foldsThen := scans()
	require.Equal(t, all, allThen, "all tunes were read")
	require.Greater(t, listedThen, listed)
	require.Greater(t, foldsThen, folds)
}
