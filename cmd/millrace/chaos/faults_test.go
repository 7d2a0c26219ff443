package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// storm injects faults, several at a time, and counts them by kind.
type storm struct {
	deployment *deployment
	rng        *rand.Rand
	workers    []*process
	servers    []*server

	mu     sync.Mutex
	counts map[string]int
	total  atomic.Int64
	toxic  atomic.Int64 // names toxics
	cuts   [3]sync.Mutex
	toxics [3]sync.Mutex // one at a time on a proxy
}

// fault is one kind of fault; likely is its weight. It returns when the fault is over.
type fault struct {
	name   string
	likely int
	strike func(rng *rand.Rand)
}

// kinds are the faults that the parts of a deployment can be struck by.
func (s *storm) kinds() []fault {
	kinds := []fault{
		{"connections cut", 10, s.cut},
		{"connections slow", 5, s.poison(`{"type": "latency", "attributes": {"latency": 80, "jitter": 60}}`)},
		{"connections stalled", 6, s.poison(`{"type": "timeout", "attributes": {"timeout": 0}}`)},
		{"connections reset", 6, s.poison(`{"type": "reset_peer", "attributes": {"timeout": 0}}`)},
		{"answers torn", 6, s.poison(`{"type": "limit_data", "attributes": {"bytes": 300}}`)},
		{"requests torn", 6, s.poison(`{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 200}}`)},
		{"bandwidth small", 3, s.poison(`{"type": "bandwidth", "attributes": {"rate": 20}}`)},
		{"sessions ended by the server", 8, s.terminate},
		{"worker killed", 10, func(rng *rand.Rand) { pick(rng, s.workers).replace(syscall.SIGKILL) }},
		{"worker restarted", 4, func(rng *rand.Rand) { pick(rng, s.workers).replace(syscall.SIGTERM) }},
		{"worker stopped for a moment", 6, func(rng *rand.Rand) { freeze(pick(rng, s.workers), between(rng, 100, 2000)) }},
		{"worker stopped until rescued", 3, func(rng *rand.Rand) { freeze(pick(rng, s.workers), between(rng, 6000, 15_000)) }},
		{"database crashed", 1, func(*rand.Rand) { s.deployment.restartDatabase(true) }},
		{"database restarted", 1, func(*rand.Rand) { s.deployment.restartDatabase(false) }},
	}
	if len(s.servers) > 0 {
		kinds = append(kinds,
			fault{"API killed", 4, func(rng *rand.Rand) { pick(rng, s.servers).replace(syscall.SIGKILL) }},
			fault{"API stopped for a moment", 2, func(rng *rand.Rand) { freeze(pick(rng, s.servers).process, between(rng, 100, 1500)) }})
	}
	return kinds
}

func pick[T any](rng *rand.Rand, of []T) T { return of[rng.IntN(len(of))] }

func between(rng *rand.Rand, from, to int) time.Duration {
	return time.Duration(from+rng.IntN(to-from)) * time.Millisecond
}

// freeze stops a process as a debugger, a swapping machine or a paused virtual one does.
func freeze(p *process, length time.Duration) {
	p.signal(syscall.SIGSTOP)
	<-time.After(length)
	p.signal(syscall.SIGCONT)
}

// cut closes every connection of a way and refuses new ones for a moment.
func (s *storm) cut(rng *rand.Rand) {
	way := rng.IntN(len(s.deployment.proxies))
	s.cuts[way].Lock() // one at a time
	defer s.cuts[way].Unlock()
	proxy := s.deployment.proxies[way]
	proxy.Stop()
	<-time.After(between(rng, 20, 400))
	if err := proxy.Start(); err != nil {
		s.deployment.t.Errorf("open the way again: %v", err)
	}
}

// poison makes connections of a way misbehave for a moment.
func (s *storm) poison(toxic string) func(*rand.Rand) {
	return func(rng *rand.Rand) {
		way := rng.IntN(len(s.deployment.proxies))
		s.toxics[way].Lock() // toxiproxy runs a toxic that follows another without its state, when both come and go
		defer s.toxics[way].Unlock()
		proxy := s.deployment.proxies[way]
		name := fmt.Sprint("toxic", s.toxic.Add(1))
		// Half of the connections, so that a process sees both.
		spec := strings.Replace(toxic, "{", fmt.Sprintf(`{"name": %q, "toxicity": 0.5, `, name), 1)
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(spec)); err != nil {
			s.deployment.t.Errorf("toxic %s: %v", spec, err)
			return
		}
		<-time.After(between(rng, 200, 1500))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := proxy.Toxics.RemoveToxic(ctx, name); err != nil && ctx.Err() == nil {
			s.deployment.t.Errorf("remove toxic: %v", err)
		}
	}
}

// terminate ends some of the database's sessions, whatever they are at.
func (s *storm) terminate(*rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// When the database is away, its sessions have ended anyway.
	_, _ = s.deployment.owner.Exec(ctx, `
		select pg_terminate_backend(pid) from pg_stat_activity
		 where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
		   and application_name <> '' and random() < 0.3`)
}

// blow strikes at the pace given until enough says so, then waits for the last fault to be over.
func (s *storm) blow(pace time.Duration, enough func() bool) {
	s.counts = map[string]int{}
	kinds := s.kinds()
	var wheel []int
	for i, k := range kinds {
		for range k.likely {
			wheel = append(wheel, i)
		}
	}
	busy := make(chan struct{}, 4)
	var struck sync.WaitGroup
	for !enough() {
		kind := kinds[pick(s.rng, wheel)]
		rng := rand.New(rand.NewPCG(s.rng.Uint64(), 0))
		busy <- struct{}{}
		s.mu.Lock()
		s.counts[kind.name]++
		s.mu.Unlock()
		s.total.Add(1)
		struck.Go(func() {
			kind.strike(rng)
			<-busy
		})
		<-time.After(pace/2 + time.Duration(s.rng.Int64N(int64(pace))))
	}
	struck.Wait()
}

// String lists the faults by kind.
func (s *storm) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, s.counts[name]))
	}
	return strings.Join(parts, ", ")
}
