package migrations_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/migrations"
	"millrace/store/pgtest"
)

// A database of the first files alone, with a workspace, jobs and events in it, is brought up to
// date: nothing it holds is lost, and what is derived counts it. Going down there shows that every
// later file takes back what it did.
func TestUpKeepsTheRowsOfAnOlderDatabase(t *testing.T) {
	db := pgtest.NewEmpty(t)
	ctx := t.Context()
	require.NoError(t, migrations.Up(ctx, db.OwnerURL))
	owner := db.OwnerPool(t)
	goose, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(owner), os.DirFS("sql"),
		goose.WithTableName("millrace_migration"), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	require.NoError(t, err)
	old := int64(0)
	for _, source := range goose.ListSources() {
		if strings.HasSuffix(source.Path, "_event_cursor.sql") {
			old = source.Version
		}
	}
	require.NotZero(t, old)
	_, err = goose.DownTo(ctx, old)
	require.NoError(t, err)

	_, err = owner.Exec(ctx, `
		insert into workspaces (id, name) values ('01900000-0000-7000-8000-000000000001', 'old');
		insert into river_job (kind, queue, max_attempts, args, state)
		select 'noop', 'trials', 1, '{"workspace_id": "01900000-0000-7000-8000-000000000001"}', 'available' from generate_series(1, 7);
		update river_job set state = 'running', attempt = 1, attempted_at = now() where id <= 2;
		insert into event_log (workspace_id, topic, type, entity_id, at)
		select '01900000-0000-7000-8000-000000000001', 'backtests', 'old', n::text, now() - interval '3 days' from generate_series(1, 5) n`)
	require.NoError(t, err)
	require.NoError(t, migrations.Up(ctx, db.OwnerURL))

	// As ever, and a change after it: seven inserted, two begun, one done; each counted once.
	_, err = owner.Exec(ctx, `update river_job set state = 'completed', finalized_at = now() where id = 1`)
	require.NoError(t, err)
	// An older transaction, in any database of the server, delays the counting.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := owner.Exec(ctx, `set role millrace_fleet; select counters_fold(1000); reset role`)
		require.NoError(c, err)
		var got string
		require.NoError(c, owner.QueryRow(ctx, `
			select (select count(*) from workspaces) || ' ' || (select count(*) from event_log where type = 'old') || ' ' ||
			       (select string_agg(type || '=' || n, ' ' order by type)
			          from (select type, sum(coalesce(cardinality(job_ids), 1)) as n from event_log where type like 'job.%' group by type) e) || ' ' ||
			       (select string_agg(state || ':' || n, ' ' order by state) from counters
			         where workspace_id = '01900000-0000-7000-8000-000000000001' and n <> 0)`).Scan(&got))
		require.Equal(c, "1 5 job.available=7 job.completed=1 job.running=2 available:5 completed:1 running:1", got)
	}, 30*time.Second, 50*time.Millisecond)
	// Ids from now on lie so far apart that a row can stand for many events.
	var apart bool
	require.NoError(t, owner.QueryRow(ctx, `
		select bool_and(id % 1048576 = 0) from event_log where job_ids is not null`).Scan(&apart))
	require.True(t, apart)
}
