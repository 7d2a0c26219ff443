package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// drillsEnv says how many drills are held; by default `make chaos` holds twelve.
const drillsEnv = "MILLRACE_DRILLS"

func drills(t *testing.T) int {
	t.Helper()
	text := os.Getenv(drillsEnv)
	if text == "" && full {
		return 12
	}
	if text == "" {
		t.Skipf("they judge by the clock and take minutes: `make chaos` holds them, or %s=3", drillsEnv)
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, drillsEnv)
	return n
}

// host is a machine with one worker process.
type host struct {
	*process
	*machine
}

// strike is one way in which a worker is lost; heal brings it back.
type strike struct {
	name         string
	strike, heal func(*host)
}

func strikes() []strike {
	return []strike{
		{"stopped", func(h *host) { h.signal(syscall.SIGSTOP) }, func(h *host) { h.signal(syscall.SIGCONT) }},
		{"partitioned", func(h *host) { h.partition() }, func(h *host) { h.connect() }},
		{"powered off", func(h *host) { h.partition(); h.halt() }, func(h *host) { h.connect(); h.revive() }},
	}
}

// halt kills the process and does not wait for a supervisor.
func (p *process) halt() {
	p.mu.Lock()
	ended := p.ended
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	p.mu.Unlock()
	<-ended
}

// found is what a walk-forward found, without what differs from run to run.
func (d *submitter) found(wfo string) string {
	d.t.Helper()
	var text string
	d.insist("outcome of a walk-forward", func(ctx context.Context) error {
		return d.owner.QueryRow(ctx, `select status || coalesce(error, '') || coalesce(outcome::text, '') from wfo_runs where id = $1`, wfo).Scan(&text)
	})
	return text
}

// reading is how the field was at one moment.
type reading struct {
	at    time.Time
	done  []int    // trials of each large tune
	ill   bool     // health is not ok
	freed bool     // none of the struck worker's jobs is still its own
	waits []string // for what sessions wait
}

// A large tune that was not struck waits a moment where what was lost holds something that it needs. It is held to
// stallMost on a machine that has time, and on a busy one, where it also waits without any fault, to stallTimes what it waits
// then, measured before every strike of the same run. Locks that are kept until a lost worker's sessions are ended
// cost stallEver.
const (
	stallMost  = 2 * time.Second
	stallTimes = 3
	stallEver  = 5 * time.Second
	calmFor    = 5 * time.Second
)

// stallLimit is how long a large tune may be without progress, where calm is the longest without a fault.
func stallLimit(calm time.Duration) time.Duration {
	return min(max(stallMost, stallTimes*calm), stallEver)
}

func TestStallsAreHeldToWhatTheMachineTakesWithoutAFault(t *testing.T) {
	for calm, most := range map[time.Duration]time.Duration{
		600 * time.Millisecond: 2 * time.Second, 1200 * time.Millisecond: 3600 * time.Millisecond, 4 * time.Second: stallEver,
	} {
		require.Equal(t, most, stallLimit(calm))
	}
}

// drill is what came of one strike.
type drill struct {
	longest time.Duration // without progress of some large tune
	rescue  time.Duration // until the lost jobs ran again
	noticed time.Duration // until health was no longer ok
}

// hold strikes at one worker at a random moment and watches the others.
func (f *field) hold(rng *rand.Rand, s strike) drill {
	f.t.Helper()
	victim := pick(rng, f.hosts)
	<-time.After(between(rng, 0, 700)) // any statement
	worker := f.workerOf(victim)
	held := f.heldBy(worker)
	began := time.Now()
	s.strike(victim)
	readings := f.watch(began.Add(14*time.Second), worker, held)
	s.heal(victim)
	f.workerOf(victim)
	// A worker that never comes back is reported for a while; the next drill begins without it.
	_, err := f.owner.Exec(f.t.Context(), `delete from workers where beat_at < clock_timestamp() - interval '3 s'`)
	require.NoError(f.t, err)
	require.Eventually(f.t, func() bool { return f.front.health(f.t) == "ok" }, 30*time.Second, 100*time.Millisecond, "health is not ok again")
	d := judge(began, readings)
	if d.longest > time.Second {
		for _, r := range readings {
			if r.at.Sub(began) < 5*time.Second && len(r.waits) > 0 {
				f.t.Logf("%s %v: %s", r.at.Sub(began).Round(time.Millisecond), r.done, strings.Join(r.waits, "\n      "))
			}
		}
	}
	return d
}

// workerOf is the id of the host's worker.
func (f *field) workerOf(h *host) (id string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		err := f.owner.QueryRow(f.t.Context(), `
			select id from workers where pid = $1 and beat_at > clock_timestamp() - interval '2 s'`, h.pid()).Scan(&id)
		return err == nil
	}, 30*time.Second, 50*time.Millisecond, "the worker does not come back")
	return id
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

func (f *field) heldBy(worker string) []int64 {
	f.t.Helper()
	rows, err := f.owner.Query(f.t.Context(), `
		select id from river_job where state = 'running' and attempted_by[cardinality(attempted_by)] = $1`, worker)
	require.NoError(f.t, err)
	held, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(f.t, err)
	return held
}

// watch reads the field again and again until a moment.
func (f *field) watch(until time.Time, worker string, held []int64) []reading {
	f.t.Helper()
	var readings []reading
	ill := make(chan bool, 1)
	var asking sync.WaitGroup
	asked := false
	for time.Now().Before(until) {
		r := reading{done: f.progress()}
		r.freed = f.count(`select count(*) from river_job where id = any ($1) and attempted_by[cardinality(attempted_by)] = $2
			and state in ('running', 'available')`, held, worker) == 0
		r.waits = f.waits()
		r.at = time.Now()
		if !asked {
			asked = true
			asking.Go(func() { ill <- f.front.health(f.t) != "ok" })
		}
		select {
		case r.ill = <-ill:
			asked = false
		case <-time.After(50 * time.Millisecond):
		}
		readings = append(readings, r)
	}
	asking.Wait()
	return readings
}

// health is the status that the API reports; empty when it does not.
func (a *server) health(t *testing.T) string {
	status, _ := a.diagnosis(t)
	return status
}

// diagnosis is the status that the API reports, and what it says of it.
func (a *server) diagnosis(t *testing.T) (status, why string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url+"/admin/system/health.json", nil)
	if err != nil {
		return "", ""
	}
	req.Header.Set("X-Admin-Token", adminToken)
	resp, err := (&http.Client{Timeout: 3 * time.Second}).Do(req)
	if err != nil {
		return "", ""
	}
	defer resp.Body.Close()
	var overview struct {
		Components []struct {
			Name, Status, Summary string
		}
		Status string
	}
	if json.NewDecoder(resp.Body).Decode(&overview) != nil {
		return "", ""
	}
	// What a fresh database is degraded by without any fault.
	status = "ok"
	for _, c := range overview.Components {
		if (c.Name == "database" || c.Name == "tunes") && c.Status != "ok" {
			status, why = c.Status, c.Name+": "+c.Summary
		}
	}
	return status, why
}

func judge(began time.Time, readings []reading) drill {
	d := drill{rescue: -1, noticed: -1}
	for tune := range readings[0].done {
		last, moved := readings[0].done[tune], began
		for _, r := range readings {
			if r.done[tune] != last {
				last, moved = r.done[tune], r.at
			}
			d.longest = max(d.longest, r.at.Sub(moved))
		}
	}
	for _, r := range readings {
		if r.freed && d.rescue < 0 {
			d.rescue = r.at.Sub(began)
		}
		if r.ill && d.noticed < 0 {
			d.noticed = r.at.Sub(began)
		}
	}
	return d
}

// One of three workers is stopped, cut off or powered off at a random moment, again and again. Every
// large tune continues, what was lost runs again, and small tunes and walk-forwards submitted meanwhile
// end with the bytes of calm ones.
func TestALostWorkerStallsNobody(t *testing.T) {
	n := drills(t)
	f := newField(t)
	var calm [len(strategies)]string
	for i, strategy := range strategies {
		calm[i] = f.small.tuneOf(strategy, fmt.Sprint("calm", i), 5)
		f.small.await(calm[i])
	}
	calmWalk := f.small.walkForward("calm")
	f.small.awaitWalk(calmWalk)
	rng := chance(t)
	var calmest time.Duration // the longest stall without a fault
	type sum struct {
		n                        int
		longest, rescue, noticed time.Duration
	}
	sums := map[string]*sum{}
	var tunes, walks []string
	submit := func() { // what the large tunes have beside them
		i := len(tunes)
		tunes, walks = append(tunes, f.small.tuneOf(strategies[i%len(strategies)], fmt.Sprint("small", i), 5)), append(walks, f.small.walkForward(fmt.Sprint("walk", i)))
	}
	for i := range n {
		s := strikes()[i%len(strikes())]
		f.replenish(i)
		submit()
		quiet := judge(time.Now(), f.watch(time.Now().Add(calmFor), "", nil))
		calmest = max(calmest, quiet.longest)
		submit()
		d := f.hold(rng, s)
		t.Logf("%s: longest stall %s, without a fault %s, rescued after %s, noticed after %s", s.name,
			d.longest.Round(10*time.Millisecond), quiet.longest.Round(10*time.Millisecond), d.rescue.Round(10*time.Millisecond), d.noticed.Round(10*time.Millisecond))
		if sums[s.name] == nil {
			sums[s.name] = &sum{}
		}
		of := sums[s.name]
		of.n++
		of.longest, of.rescue, of.noticed = max(of.longest, d.longest), max(of.rescue, d.rescue), max(of.noticed, d.noticed)
		require.GreaterOrEqual(t, d.rescue, time.Duration(0), "%s: the lost jobs never ran again", s.name)
		require.GreaterOrEqual(t, d.noticed, time.Duration(0), "%s: health stayed ok", s.name)
	}
	for _, d := range f.large {
		d.cancelAll()
	}
	f.small.awaitAll(tunes)
	for i, id := range tunes {
		require.Equal(t, f.small.outcome(calm[i%len(calm)]), f.small.outcome(id), "a tune under faults ends with the bytes of a calm one")
	}
	for _, id := range walks {
		f.small.awaitWalk(id)
		require.Equal(t, f.small.found(calmWalk), f.small.found(id), "a walk-forward under faults ends with the bytes of a calm one")
	}
	stuck := f.count(`select count(*) from river_job where finalized_at is null and kind <> 'maintenance.upkeep'`)
	doubled := f.count(`select count(*) from tune_progress p join tunes t on t.id = p.tune_id
		where t.status = 'completed' and p.trials_completed + p.trials_failed + p.trials_skipped <> t.n_trials`)
	failed := f.count(`select count(*) from tunes where status = 'failed'`)
	report.say("one of three workers lost while 2 large tunes, %d small ones and %d walk-forwards run: %d lost, %d doubled, %d stuck jobs; without a fault the longest stall is %s",
		len(tunes), len(walks), failed, doubled, stuck, calmest.Round(10*time.Millisecond))
	for _, s := range strikes() {
		if of := sums[s.name]; of != nil {
			report.say("  %s: %d drills, longest stall %s; lost jobs ran again within %s; health not ok within %s", s.name, of.n,
				of.longest.Round(10*time.Millisecond), of.rescue.Round(10*time.Millisecond), of.noticed.Round(10*time.Millisecond))
		}
	}
	require.Zero(t, stuck)
	require.Zero(t, doubled)
	require.Zero(t, failed)
	for name, of := range sums {
		require.LessOrEqual(t, of.longest, stallLimit(calmest), "%s: a large tune that was not struck made no progress for longer", name)
		require.LessOrEqual(t, of.rescue, 10*time.Second, "%s: the lost jobs run again too late", name)
		require.LessOrEqual(t, of.noticed, 5*time.Second, "%s: health stays ok for too long", name)
	}
}
