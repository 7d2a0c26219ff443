package retention_test

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/retention"
	"millrace/migrations"
	"millrace/ops"
	"millrace/store"
	"millrace/store/localpg"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/upkeep"
)

func openStore(t *testing.T, url string) *stores.Set {
	t.Helper()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: url, MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return stores.New(pool, nil)
}

// Whichever process runs the schedule, it is the same one.
func TestBothSchedulersHaveTheSameSchedule(t *testing.T) {
	st := openStore(t, pgtest.New(t).URL)
	status, err := st.Upkeep.RetentionStatus(t.Context())
	require.NoError(t, err)
	type rule struct {
		schedule string
		days     float64
	}
	want, rules := map[string]rule{}, map[string]rule{}
	for _, job := range jobs.Retentions() {
		want[job.Name] = rule{job.Schedule, float64(job.Days)}
	}
	for _, job := range status.Jobs {
		rules[job.Name] = rule{job.Schedule, job.Age.Hours() / 24}
	}
	require.Equal(t, want, rules)

	schedule, err := jobs.Schedule("15 3 * * *")
	require.NoError(t, err)
	tokyo := time.FixedZone("Tokyo", 9*3600)
	next := schedule.Next(time.Date(2026, 3, 1, 10, 0, 0, 0, tokyo)) // 01:00 UTC
	require.Equal(t, time.Date(2026, 3, 1, 3, 15, 0, 0, time.UTC), next)
	_, err = jobs.Schedule("15 25 * * *")
	require.ErrorContains(t, err, "15 25 * * *")
}

// River's leader inserts the scheduled runs, and a worker makes each once a day.
func TestRiverRunsTheSchedule(t *testing.T) {
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	st := stores.New(pool, nil)
	schedule, err := jobs.Schedule("@every 1s")
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueRetention: 1}, Metrics: ops.NewMetrics(), Logger: logger, Version: "test",
		Drain: time.Second,
		Periodic: []*river.PeriodicJob{river.NewPeriodicJob(schedule, func() (river.JobArgs, *river.InsertOpts) {
			return jobs.PruneArgs{Job: "job_runs"}, nil
		}, nil)},
	}, func(st *stores.Set, workers *river.Workers) {
		retention.New(st.DB, st.Upkeep, logger).Register(workers)
	})
	require.NoError(t, err)
	require.NoError(t, member.Start(t.Context()))
	t.Cleanup(func() { _ = member.Stop(context.Background()) })
	owner := db.OwnerPool(t)
	require.Eventually(t, func() bool {
		var done int
		err := owner.QueryRow(t.Context(), `select count(*) from river_job where kind = 'retention.prune' and state = 'completed'`).Scan(&done)
		return err == nil && done >= 2
	}, 20*time.Second, 50*time.Millisecond)
	runs, err := st.Upkeep.RetentionLog(t.Context(), "job_runs", 0, 10)
	require.NoError(t, err)
	require.Len(t, runs, 1, "two scheduled jobs, one run")
	require.Equal(t, "river", runs[0].Source)
	require.True(t, *runs[0].OK)
}

// cronCluster is a Postgres of its own with pg_cron loaded for the database millrace.
func cronCluster(t *testing.T) *localpg.Cluster {
	t.Helper()
	cluster, err := localpg.Start(t.Context(), localpg.Options{Throwaway: true, Settings: map[string]string{
		"shared_preload_libraries":    "pg_cron",
		"cron.database_name":          "millrace",
		"cron.use_background_workers": "on", // no login of its own, so no password
		"max_worker_processes":        "20",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cluster.Stop(context.Background()) })
	require.NoError(t, migrations.Up(t.Context(), cluster.URL()))
	return cluster
}

// hasCron reports whether pg_cron is installed beside the tests' server; where the checks run it has
// to be.
func hasCron(t *testing.T) bool {
	t.Helper()
	var has bool
	err := pgtest.New(t).OwnerPool(t).QueryRow(t.Context(),
		`select exists (select from pg_available_extensions where name = 'pg_cron')`).Scan(&has)
	require.NoError(t, err)
	if !has {
		require.Empty(t, os.Getenv("MILLRACE_REQUIRE"), "pg_cron is not installed: apt-get install postgresql-15-cron")
		t.Log("pg_cron is not installed, so River runs the schedule, as TestRiverRunsTheSchedule shows; .ci/run installs it")
	}
	return has
}

func TestPgCronRunsTheScheduleWhereItIs(t *testing.T) {
	if !hasCron(t) {
		return
	}
	t.Parallel()
	ctx := t.Context()
	cluster := cronCluster(t)
	owner, err := pgx.Connect(ctx, cluster.URL())
	require.NoError(t, err)
	defer func() { _ = owner.Close(context.Background()) }()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := owner.Exec(ctx, sql, args...)
		require.NoError(t, err)
	}
	count := func(sql string) (n int) {
		t.Helper()
		require.NoError(t, owner.QueryRow(ctx, sql).Scan(&n))
		return n
	}
	st := openStore(t, cluster.URL())
	scheduled := func(job, source string) upkeep.Pruned {
		t.Helper()
		pruned, err := st.Upkeep.Prune(ctx, upkeep.Prune{Job: job, BatchSize: 1000, Source: source})
		require.NoError(t, err)
		return pruned
	}
	reschedule := func() string {
		t.Helper()
		scheduler, _, err := st.Upkeep.ScheduleRetention(ctx)
		require.NoError(t, err)
		return scheduler
	}

	all := len(jobs.Retentions())
	// The migration makes the extension where the server runs it, and hands it the schedule.
	require.Equal(t, 1, count(`select count(*) from pg_extension where extname = 'pg_cron'`))
	require.Equal(t, all, count(`select count(*) from cron.job where jobname like 'millrace_retention_%' and active`))
	require.Zero(t, scheduled("match_runs", "river").Entry, "pg_cron is the one scheduler")
	exec(`drop extension pg_cron`)

	require.Equal(t, "river", reschedule(), "the extension is installed, but not in the database")
	require.NotZero(t, scheduled("trade_events", "river").Entry)
	require.Zero(t, scheduled("match_runs", "pg_cron").Entry, "River is the one scheduler")

	// pg_cron moves in: it takes over, and what River did today stays done.
	exec(`create extension pg_cron`)
	exec(`update retention_rules set schedule = '* * * * *' where job_name = 'idempotency_keys'`)
	for range 3 {
		require.Equal(t, "pg_cron", reschedule())
	}
	require.Equal(t, all, count(`select count(*) from cron.job where jobname like 'millrace_retention_%' and active`))
	require.Equal(t, all, count(`select count(distinct (jobname, command)) from cron.job`))
	require.Equal(t, all-1, count(`select count(*) from cron.job where schedule ~ '^\d+ 3 \* \* \*$'`))
	require.Zero(t, scheduled("match_runs", "river").Entry, "pg_cron is the one scheduler")
	require.Zero(t, scheduled("trade_events", "pg_cron").Entry, "it was run today")
	require.Eventually(t, func() bool {
		return count(`select count(*) from retention_job_log where source = 'pg_cron' and job_name = 'idempotency_keys' and ok`) > 0
	}, 75*time.Second, 100*time.Millisecond, "pg_cron itself runs the procedure, which commits")
	require.Zero(t, count(`select count(*) from cron.job_run_details where status = 'failed'`))

	// One of its jobs is switched off by hand: the schedule must not be left to nobody.
	exec(`select cron.alter_job(jobid, active := false) from cron.job where jobname = 'millrace_retention_job_runs'`)
	require.NotZero(t, scheduled("job_runs", "river").Entry)
	require.Equal(t, "pg_cron", reschedule())

	// And out again.
	exec(`drop extension pg_cron`)
	require.Equal(t, "river", reschedule())
	require.Zero(t, scheduled("idempotency_keys", "river").Entry, "pg_cron ran it today")
	require.NotZero(t, scheduled("match_runs", "river").Entry)
	require.Equal(t, 1, count(`select max(n) from (select count(*) n from retention_job_log group by job_name, slot) s`),
		"no job was run twice")
}

// pg_cron's launcher works one database of the server. In any other the extension may be there, and
// nothing runs.
func TestPgCronOfAnotherDatabaseIsNotCountedOn(t *testing.T) {
	if !hasCron(t) {
		return
	}
	t.Parallel()
	ctx := t.Context()
	cluster := cronCluster(t)
	admin, err := pgx.Connect(ctx, cluster.URL())
	require.NoError(t, err)
	_, err = admin.Exec(ctx, `create extension if not exists pg_cron`)
	require.NoError(t, err)
	_, err = admin.Exec(ctx, `create database beside`)
	require.NoError(t, err)
	beside := onDatabase(t, cluster.URL(), "beside")
	require.NoError(t, migrations.Up(ctx, beside))
	scheduler, _, err := openStore(t, beside).Upkeep.ScheduleRetention(ctx)
	require.NoError(t, err)
	require.Equal(t, "river", scheduler)

	// The database is renamed: the extension and its jobs come along, the launcher does not.
	st := openStore(t, cluster.URL())
	scheduler, _, err = st.Upkeep.ScheduleRetention(ctx)
	require.NoError(t, err)
	require.Equal(t, "pg_cron", scheduler)
	st.Pool().Close()
	require.NoError(t, admin.Close(ctx))
	other, err := pgx.Connect(ctx, beside)
	require.NoError(t, err)
	_, err = other.Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'millrace'`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := other.Exec(ctx, `alter database millrace rename to moved`)
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, other.Close(ctx))
	moved := openStore(t, onDatabase(t, cluster.URL(), "moved"))
	pruned, err := moved.Upkeep.Prune(ctx, upkeep.Prune{Job: "job_runs", BatchSize: 1000, Source: "river"})
	require.NoError(t, err)
	require.NotZero(t, pruned.Entry, "River does it, even before the jobs are taken out")
	scheduler, _, err = moved.Upkeep.ScheduleRetention(ctx)
	require.NoError(t, err)
	require.Equal(t, "river", scheduler)
	var left int
	require.NoError(t, moved.Pool().QueryRow(ctx, `select count(*) from pg_extension where extname = 'pg_cron'`).Scan(&left))
	require.Equal(t, 1, left)
}

func onDatabase(t *testing.T, url, database string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	return "postgres://" + cfg.User + ":" + cfg.Password + "@" + cfg.Host + ":" + port(cfg.Port) + "/" + database + "?sslmode=disable"
}

func port(p uint16) string { return strconv.Itoa(int(p)) }
