package fleet_test

import (
	"context"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/worker/fleet"
	"millrace/ops"
	"millrace/store"
	"millrace/store/workers"
)

const (
	ms   = time.Millisecond
	long = 50 * time.Second
)

// holder is the process that has the job, and the other one.
func holder(j job, a, b *member) (has, other *member) {
	if j.pid == a.pid() {
		return a, b
	}
	return b, a
}

// That they do depends on nothing else that workers do: here, none of them can seal the audit log.
func TestJobsOfAKilledWorkerRunAgainWithinTenSeconds(t *testing.T) {
	y := newYard(t)
	locked, err := y.owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = locked.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = locked.Exec(t.Context(), `lock table audit_unsealed`)
	require.NoError(t, err)
	a, b := y.start(), y.start()
	id := y.submit(taskArgs{Takes: []time.Duration{long, ms}})
	victim, _ := holder(y.await(id, "running", 1), a, b)
	victim.signal(syscall.SIGKILL)
	killed := time.Now()
	j := y.await(id, "completed", 2)
	took := time.Since(killed)
	t.Logf("completed elsewhere %s after the kill", took.Round(10*ms))
	require.Less(t, took, 10*time.Second)
	require.Equal(t, 1, j.errors, "the loss is on record")
	require.Equal(t, []string{"2 done"}, y.effects(id))
}

func TestAJobThatIsMerelyLongIsLeftAlone(t *testing.T) {
	y := newYard(t)
	y.start()
	y.start()
	id := y.submit(taskArgs{Takes: []time.Duration{workers.HeartbeatLease + 3*time.Second}})
	j := y.await(id, "completed", 1)
	require.Zero(t, j.errors)
	require.Equal(t, []string{"1 done"}, y.effects(id))
}

// A stopped process is taken for dead; when it continues it still believes in its job. Neither its
// result nor what River makes of its outcome may reach the attempt that has the job now.
func TestAZombieHarmsNeitherResultNorSuccessor(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]taskArgs{
		"fails its save":         {Stubborn: true},
		"completes without save": {Stubborn: true, Plain: true},
		"heeds its context":      {},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			a, b := y.start(), y.start()
			args.Takes = []time.Duration{time.Second, 6 * time.Second}
			id := y.submit(args)
			zombie, _ := holder(y.await(id, "running", 1), a, b)
			zombie.signal(syscall.SIGSTOP)
			second := y.await(id, "running", 2)
			require.NotEqual(t, zombie.pid(), second.pid)
			zombie.signal(syscall.SIGCONT)
			y.eventually(func() bool {
				return y.count(`select count(*) from event_log where type = 'zombie.refused' and entity_id = ($1::bigint)::text`, id) == 1
			}, "the zombie's outcome was not refused")
			require.Equal(t, second, y.job(id), "the successor is undisturbed")
			j := y.await(id, "completed", 2)
			require.Equal(t, 1, j.errors)
			want := []string{"2 done"}
			if args.Plain {
				want = []string{}
			}
			require.Equal(t, want, y.effects(id))
		})
	}
}

func TestAStopFinishesWhatItCanAndHandsBackTheRest(t *testing.T) {
	y := newYard(t)
	first := y.start()
	quick := y.submit(taskArgs{Takes: []time.Duration{time.Second}})
	slow := y.submit(taskArgs{Takes: []time.Duration{long}})
	y.await(quick, "running", 1)
	y.await(slow, "running", 1)
	first.signal(syscall.SIGTERM)
	asked := time.Now()
	require.NoError(t, first.end())
	require.Less(t, time.Since(asked), 6*time.Second, "a drain of 2 s")
	require.Equal(t, "completed", y.job(quick).state)
	require.Equal(t, []string{"1 done"}, y.effects(quick))
	require.Equal(t, job{state: "available"}, y.job(slow), "handed back at once, with no attempt used")
	require.Zero(t, y.count(`select count(*) from workers`))
	second := y.start()
	require.Equal(t, second.pid(), y.await(slow, "running", 1).pid)
}

func TestARollingRestartLosesAndRepeatsNoWork(t *testing.T) {
	y := newYard(t)
	members := []*member{y.start(), y.start()}
	const tasks = 150
	for range tasks {
		y.submit(taskArgs{Takes: []time.Duration{80 * ms}})
	}
	for round := range 4 {
		y.eventually(func() bool { return y.count(`select count(*) from effects`) > 15+round*25 }, "no progress")
		old := members[round%2]
		members[round%2] = y.start()
		old.signal(syscall.SIGTERM)
		require.NoError(t, old.end())
	}
	y.eventually(func() bool {
		return y.count(`select count(*) from river_job where kind = 'test.task' and state = 'completed'`) == tasks
	}, "jobs were lost")
	require.Equal(t, tasks, y.count(`select count(distinct job_id) from effects`))
	require.Equal(t, tasks, y.count(`select count(*) from effects where attempt = 1`), "work was repeated")
	require.GreaterOrEqual(t, y.count(`select count(distinct pid) from effects`), 4, "a process had no part")
}

func TestACancelReachesAnotherProcessWithinASecond(t *testing.T) {
	y := newYard(t)
	y.start()
	noticed := y.submit(taskArgs{Takes: []time.Duration{long}})
	unnoticed := y.submit(taskArgs{Takes: []time.Duration{long}})
	y.await(noticed, "running", 1)
	y.await(unnoticed, "running", 1)
	asked := time.Now()
	_, err := y.client.JobCancel(t.Context(), noticed)
	require.NoError(t, err)
	y.await(noticed, "cancelled", 1)
	t.Logf("cancelled after %s", time.Since(asked).Round(ms))
	// Without the notification, as after a lost connection: the next heartbeat finds out.
	asked = time.Now()
	_, err = y.owner.Exec(t.Context(), `update river_job set metadata = metadata || '{"cancel_attempted_at": "2026-01-01T00:00:00Z"}' where id = $1`, unnoticed)
	require.NoError(t, err)
	y.await(unnoticed, "cancelled", 1)
	t.Logf("cancelled by heartbeat after %s", time.Since(asked).Round(ms))
	require.Empty(t, y.effects(noticed))
	require.Empty(t, y.effects(unnoticed))
}

// A job that takes down every process that tries it is failed for its user, not lost.
func TestAJobThatLostEveryWorkerIsFailed(t *testing.T) {
	y := newYard(t)
	a := y.start()
	id := y.submit(taskArgs{Takes: []time.Duration{long}})
	y.await(id, "running", 1)
	_, err := y.owner.Exec(t.Context(), `update river_job set max_attempts = 1 where id = $1`, id)
	require.NoError(t, err)
	b := y.start()
	victim, _ := holder(y.job(id), a, b)
	victim.signal(syscall.SIGKILL)
	y.await(id, "completed", 2)
	require.Equal(t, []string{"2 failed: every attempt at it lost its worker"}, y.effects(id))
}

func TestAFleetStopsTwiceAndLeavesNothingBehind(t *testing.T) {
	y := newYard(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: y.db.URL, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueIngestion: 1}, Metrics: ops.NewMetrics(),
		Logger: slog.New(slog.DiscardHandler), Version: "test", Drain: time.Second,
	}, register)
	require.NoError(t, err)
	require.NoError(t, member.Start(t.Context()))
	id := y.submit(taskArgs{Takes: []time.Duration{ms}})
	y.await(id, "completed", 1)
	require.NoError(t, member.Stop(context.Background()))
	require.NoError(t, member.Stop(context.Background()))
	require.Zero(t, y.count(`select count(*) from workers`))
}

// Where Postgres does not do so yet: its own look comes once a minute, and here not at all.
func TestAWorkerHasTablesWithoutStatisticsAnalysed(t *testing.T) {
	y := newYard(t)
	y.start()
	_, err := y.owner.Exec(t.Context(), `
		alter table workspaces set (autovacuum_enabled = off);
		insert into workspaces (id, name) select gen_random_uuid(), 'of many ' || n from generate_series(1, 1000) n`)
	require.NoError(t, err)
	y.eventually(func() bool {
		return y.count(`select count(*) from pg_stat_user_tables where relname = 'workspaces' and last_analyze is not null`) == 1
	}, "no worker has it analysed")
}
