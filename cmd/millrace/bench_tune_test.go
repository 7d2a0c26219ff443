package main

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/jobs/worker/tune"
	"millrace/store/tuning"
)

// BenchmarkTune times a whole tune of 20,000 trials from submission to leaderboard, on one and on two trial slots, beside the same
// trials in a loop, in two loops, and on two slots without queue and database. All share the machine with Postgres. They run one after
// the other, round after round, and a ratio is of one round, as the machine is not as fast in one minute as in the next.
func BenchmarkTune(b *testing.B) {
	b.Log("20,000 trials of sma_cross over 50,000 synthetic daily bars, split 70:30, from submission to leaderboard; compute is the same trials in a loop on one core, before and after")
	benchmarkTune(b, benchSpec(), 7)
}

// BenchmarkLongTune is BenchmarkTune with more than ten seconds of one core's trials. Its 50 periods have their indicators in memory at
// once, as those of BenchmarkTune have.
func BenchmarkLongTune(b *testing.B) {
	b.Log("as BenchmarkTune, with 230,000 trials of bb_reversal")
	spec := benchSpec()
	spec.StrategyName = "bb_reversal"
	spec.ParamSpace = map[string]sweep.Range{
		"period": {Low: new(20.0), High: new(69.0)},
		"width":  {Low: new(1.0), High: new(5.599), Step: new(0.001)},
	}
	spec.NTrials = new(230_000)
	benchmarkTune(b, spec, 5)
}

// tuneRounds measures one spec round after round.
type tuneRounds struct {
	b     *testing.B
	spec  sweep.Spec
	bars  *backtest.Bars
	store [3]*benchStore // by slots
	figures
}

func benchmarkTune(b *testing.B, spec sweep.Spec, rounds int) {
	bars := benchBars(b)
	r := &tuneRounds{b: b, spec: spec, bars: bars}
	for slots := 1; slots <= 2; slots++ {
		r.store[slots] = newBenchStore(b, bars)
	}
	for round := range rounds {
		r.round(round)
	}
	require.NoError(b, r.print(os.Stdout)) // a benchmark's own log is cut after ten lines
	for _, f := range r.all {
		if f.ratio {
			b.ReportMetric(f.median(), f.name)
		}
	}
}

func (r *tuneRounds) round(round int) {
	loops := r.loops("the trials in two loops", 2)
	compute := r.loops("the trials in one loop", 1)
	one, _ := r.tune(1, round)
	// The machine may be as fast before the tune as after it, and of another speed in between: half of a per cent is looked for.
	compute.wall = (compute.wall + r.loops("the trials in one loop", 1).wall) / 2
	slot := r.named("a tune on one slot: all of compute", "ms").values
	computed := slot[len(slot)-1] / 1000
	// Less than the tune's own trials, as those of two loops differ by more than what is beside them takes.
	beside := one.postgres + max(0, one.processors-computed)
	r.ratio("one-loop-beside-as-much-else", compute.wall/r.loopBeside(compute.wall, beside).wall)
	two, shards := r.tune(2, round)
	without, evidence := r.withoutQueue(shards)
	r.ratio("of-compute", compute.wall/one.wall)
	r.ratio("slot-at-trials", computed/one.wall)
	r.ratio("two-of-one", one.wall/two.wall)
	r.ratio("ceiling", compute.wall/loops.wall)
	r.ratio("two-of-one-without-postgres", one.wall/without.wall)
	// Which other load on the machine moves less: what is not the trials takes the rest of the processors.
	r.ratio("two-loops-of-two-slots-by-processor-time", loops.processors/(two.processors+two.postgres))
	// What two slots would be if both cores did nothing but this, and nothing waited for anything.
	r.ratio("most-beside-postgres", one.wall/(loops.wall+(evidence.processors+two.postgres)/2))
}

// taken is what something took: seconds of the clock, of the processors in this process, and of those in Postgres.
type taken struct{ wall, processors, postgres float64 }

// timed measures what do takes, and does not leave it the garbage of what ran before.
func (r *tuneRounds) timed(name string, do func()) taken {
	runtime.GC()
	began, before := time.Now(), processorTime(r.b)
	do()
	t := taken{wall: time.Since(began).Seconds(), processors: (processorTime(r.b) - before).Seconds()}
	r.add(name, "s", t.wall)
	r.add(name+": processor time", "s", t.processors)
	return t
}

// plan is a plan that has run nothing yet: a tune finds its indicators too.
func (r *tuneRounds) plan() *sweep.Plan {
	plan, errs := sweep.NewPlan(r.spec, r.bars, backtest.CalendarExchange)
	require.Empty(r.b, errs)
	return plan
}

// loops run the trials in so many loops at once, which share nothing but the plan and the machine.
func (r *tuneRounds) loops(name string, n int) taken {
	plan := r.plan()
	return r.timed(name, func() {
		var all sync.WaitGroup
		for _, part := range plan.Shards((plan.Trials() + n - 1) / n) {
			all.Go(func() {
				_, err := plan.RunShard(r.b.Context(), part, func(int) {})
				assert.NoError(r.b, err)
			})
		}
		all.Wait()
	})
}

// loopBeside runs the trials in one loop while another thread takes about so much of the processors, evenly and in short pieces that read
// memory. It says what that much work costs the trials beside it; Postgres and the worker come in bursts, some of it after the last trial.
func (r *tuneRounds) loopBeside(wall, other float64) taken {
	const piece = 2 * time.Millisecond
	require.Positive(r.b, other)
	pause := time.Duration(float64(piece) * max(0, wall/other-1))
	pieces := 0
	done := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() {
		memory := make([]uint64, 1<<17)
		for sum := uint64(0); ; pieces++ {
			for began := time.Now(); time.Since(began) < piece; {
				for i := range memory {
					sum += memory[i]
					memory[i] = sum
				}
			}
			select {
			case <-done:
				return
			case <-time.After(pause):
			}
		}
	})
	t := r.loops("the trials in one loop beside as much else", 1)
	close(done)
	beside.Wait()
	r.add("the trials in one loop beside as much else: all else", "s", (time.Duration(pieces) * piece).Seconds())
	return t
}

// tune times a tune on a worker of so many slots that has worked a small one before, as one in use has: its connections are open, and
// the server's processes know the tables.
func (r *tuneRounds) tune(slots, round int) (taken, []sweep.Shard) {
	s, parts := r.store[slots], newTimeline()
	defer s.workTraced(r.b, slots, nil, parts.watch)()
	small := benchSpec()
	small.NTrials = new(2000)
	run := func(spec sweep.Spec, key string) uuid.UUID {
		id := s.submit(r.b, spec, key)
		parts.await(r.b)
		return id
	}
	run(small, "small "+strconv.Itoa(round))
	var id uuid.UUID
	before, submitted := s.used(r.b), time.Now()
	name := map[int]string{1: "a tune on one slot", 2: "a tune on two slots"}[slots]
	t := r.timed(name, func() { id = run(r.spec, "tune "+strconv.Itoa(round)) })
	seen := time.Now()
	t.postgres = (s.used(r.b).postgres - before.postgres).Seconds()
	r.add(name+": Postgres' processor time", "s", t.postgres)
	r.addParts(name, parts.parts(r.b, slots, submitted, seen))
	got, err := s.store.Tuning.Get(r.b.Context(), s.space.ID, id)
	require.NoError(r.b, err)
	require.Equal(r.b, tuning.Completed, got.Status, got.Error)
	shards, err := s.store.Tuning.Shards(r.b.Context(), s.space.ID, id)
	require.NoError(r.b, err)
	return t, shards
}

func (r *tuneRounds) addParts(name string, p tuneParts) {
	ms := func(what string, d time.Duration) { r.add(name+": "+what, "ms", d.Seconds()*1000) }
	ms("before the first trial", p.before)
	ms("a slot without trials, from first to last", p.between)
	ms("after the last trial", p.after)
	r.add(name+": shards", "", float64(p.shards))
	for _, part := range []tune.Part{tune.PartPlan, tune.PartCompute, tune.PartEncode, tune.PartSave, tune.PartRank, tune.PartEnd} {
		ms("all of "+string(part), p.of[part])
	}
}

// withoutQueue runs the shards of a tune on two slots as the worker does, and ranks them, without queue and database. It returns
// what that took, and what the ranking and the verdict took of it.
func (r *tuneRounds) withoutQueue(shards []sweep.Shard) (all, evidence taken) {
	plan := r.plan()
	all = r.timed("two slots without queue and database", func() {
		kept := plan.Keep(64 << 20) // as a worker has for it
		var next atomic.Int64
		var slots sync.WaitGroup
		for range 2 {
			slots.Go(func() {
				for i := int(next.Add(1)) - 1; i < len(shards); i = int(next.Add(1)) - 1 {
					result, err := kept.RunShard(r.b.Context(), shards[i], func(int) {})
					if !assert.NoError(r.b, err) {
						return
					}
					_, _, _, err = result.Encode()
					assert.NoError(r.b, err)
					kept.Add(result)
					kept.Prepare(r.b.Context(), result)
				}
			})
		}
		slots.Wait()
		began, before := time.Now(), processorTime(r.b)
		_, err := sweep.CollectKept(plan, shards, kept, nil)
		require.NoError(r.b, err)
		evidence = taken{wall: time.Since(began).Seconds(), processors: (processorTime(r.b) - before).Seconds()}
	})
	r.add("ranking and verdict", "s", evidence.wall)
	r.add("ranking and verdict: processor time", "s", evidence.processors)
	return all, evidence
}
