package workers_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/workers"
)

// A job whose worker lives, but no longer holds it, ended in an outcome that was not recorded.
func TestAnOutcomeThatWasNotRecordedCostsNoAttempt(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, forgotten := d.Tune("forgotten")
	_, lost := d.Tune("lost")
	d.Claim(forgotten, "alive")
	d.Claim(lost, "dead")
	_, err := d.Store.Workers.Beat(t.Context(), workers.Worker{ID: "alive", Queues: map[string]int{}}, nil, nil)
	require.NoError(t, err)
	rescued, err := d.Store.Workers.Rescue(t.Context())
	require.NoError(t, err)
	require.Len(t, rescued, 2)
	left := func(job int64) int { return d.Count(`select max_attempts - attempt from river_job where id = $1`, job) }
	require.Equal(t, 8, left(forgotten))
	require.Equal(t, 7, left(lost))
}

// Only a silent worker's sessions are ended, whatever else is there.
func TestTheSessionsOfALostWorkerAreEnded(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	open := func(worker string) *pgx.Conn {
		cfg := d.Store.Pool().Config().ConnConfig
		cfg.RuntimeParams["application_name"] = store.WorkerSessions(worker)
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
		_, err = conn.Exec(t.Context(), `select pg_advisory_lock(hashtextextended($1, 0))`, worker)
		require.NoError(t, err)
		return conn
	}
	silent, alive, unknown := open("silent"), open("alive"), open("unknown")
	_, err := d.Owner.Exec(t.Context(), `
		insert into workers (id, host, pid, version, queues, beat_at)
		values ('silent', 'h', 1, 'v', '{}', clock_timestamp() - interval '1 minute'), ('alive', 'h', 1, 'v', '{}', clock_timestamp())`)
	require.NoError(t, err)
	ended, err := d.Store.Workers.EndLostSessions(t.Context())
	require.NoError(t, err)
	require.Equal(t, []workers.LostSessions{{Worker: "silent", Sessions: 1}}, ended)
	require.Eventually(t, func() bool {
		return d.Count(`select count(*) from pg_try_advisory_xact_lock(hashtextextended('silent', 0)) l where l`) == 1
	}, 5*time.Second, 10*time.Millisecond, "its lock is held on")
	require.Error(t, silent.Ping(t.Context()))
	require.NoError(t, alive.Ping(t.Context()))
	require.NoError(t, unknown.Ping(t.Context()))
	// The function cannot be made to end more, nor be called by a tenant's session.
	_, err = alive.Exec(t.Context(), `select * from end_lost_sessions('1 second')`)
	require.Equal(t, "42501", store.SQLState(err))
}

func TestJobsOfALostWorkerRunAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	_, plan := d.Tune("k")
	d.Claim(plan, "lost")
	beat := func(held ...workers.Held) {
		recalls, err := d.Store.Workers.Beat(ctx, workers.Worker{ID: "lost", Queues: map[string]int{"tunes": 1}}, held, nil)
		require.NoError(t, err)
		require.Empty(t, recalls)
	}
	rescue := func() []workers.Rescued {
		rescued, err := d.Store.Workers.Rescue(ctx)
		require.NoError(t, err)
		return rescued
	}
	beat(workers.Held{JobID: plan, Attempt: 1})
	require.Empty(t, rescue(), "a job that is merely long is held")
	d.Exec(`update workers set beat_at = now() - interval '1 minute'`)
	require.Len(t, rescue(), 1)
	require.Equal(t, "available", d.JobState(plan))

	// A live worker that does not know of the job has lost it all the same.
	d.Claim(plan, "lost")
	beat()
	require.Len(t, rescue(), 1)

	// After the last attempt comes one to fail it in, and none after that.
	d.Exec(`delete from workers`)
	d.Exec(`update river_job set max_attempts = attempt + 1`)
	d.Claim(plan, "lost")
	require.Equal(t, "available", rescue()[0].State)
	d.Claim(plan, "lost")
	require.Equal(t, "discarded", rescue()[0].State)
}

func TestAHeartbeatRecallsWhatIsCancelledOrLost(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, cancelled := d.Tune("1")
	_, kept := d.Tune("2")
	d.Claim(cancelled, "w")
	d.Claim(kept, "w")
	lost := workers.Held{JobID: kept, Attempt: 0}
	gone := workers.Held{JobID: 1 << 40, Attempt: 1}
	beat := func() []workers.Recall {
		recalls, err := d.Store.Workers.Beat(ctx, workers.Worker{ID: "w"},
			[]workers.Held{{JobID: cancelled, Attempt: 1}, {JobID: kept, Attempt: 1}, lost, gone}, nil)
		require.NoError(t, err)
		return recalls
	}
	require.ElementsMatch(t, []workers.Recall{{Held: lost}, {Held: gone}}, beat())
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.ElementsMatch(t, []workers.Recall{{Held: lost}, {Held: gone}, {Held: workers.Held{JobID: cancelled, Attempt: 1}, Cancelled: true}}, beat())
	d.Exec(`update river_job set state = 'completed', finalized_at = now() where id = $1`, kept)
	require.Len(t, beat(), 3, "a completed job is about to return")
	d.Exec(`update river_job set state = 'running', finalized_at = null, attempted_by = '{w,other}' where id = $1`, kept)
	require.Contains(t, beat(), workers.Recall{Held: workers.Held{JobID: kept, Attempt: 1}}, "handed back and taken by another under the same number")
}
