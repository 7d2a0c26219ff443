package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/store/workers"
)

// On a full disk the heartbeat of one worker finds room and that of another does not. The first must not
// take the second for lost, neither while the disk is full nor in the moment after.
func TestAFullDiskThatSilencesOneWorkerCostsItsJobsNoAttempt(t *testing.T) {
	y := newYard(t)
	a, b := y.start(), y.start()
	id := y.submit(taskArgs{Takes: []time.Duration{4 * workers.HeartbeatLease}})
	silenced, heard := holder(y.await(id, "running", 1), a, b)
	y.exec(`create function disk_full() returns trigger language plpgsql as
		$$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`)
	y.exec(fmt.Sprintf(`create trigger full_disk before update on workers for each row when (new.pid = %d) execute function disk_full()`, silenced.pid()))
	y.exec(`create trigger full_disk before truncate on write_probe execute function disk_full()`)
	silence := func(pid int, least time.Duration) func() bool {
		return func() bool {
			return y.count(`select count(*) from workers where pid = $1 and beat_at < clock_timestamp() - make_interval(secs => $2)`, pid, least.Seconds()) == 1
		}
	}
	y.eventually(silence(silenced.pid(), 2*workers.HeartbeatLease), "the heartbeat went through on a full disk")
	require.False(t, silence(heard.pid(), workers.HeartbeatLease)(), "the other worker's heartbeat was refused too")

	y.exec(`drop trigger full_disk on write_probe`)
	// The other worker is heard three more times before this one.
	for range 3 {
		before := time.Now()
		y.eventually(func() bool {
			return y.count(`select count(*) from workers where pid = $1 and beat_at > $2`, heard.pid(), before) == 1
		}, "the other worker fell silent")
	}
	y.exec(`drop trigger full_disk on workers`)
	j := y.await(id, "completed", 1)
	require.Zero(t, j.errors)
	require.Equal(t, []string{"1 done"}, y.effects(id))
}

func (y *yard) exec(sql string) {
	y.t.Helper()
	_, err := y.owner.Exec(y.t.Context(), sql)
	require.NoError(y.t, err)
}
