// Package chaos holds the whole of Millrace against faults, as it is deployed: API and worker
// processes, a Postgres of their own, and a proxy between them that cuts, stalls and garbles
// connections, while processes and the database are killed, stopped and restarted.
//
// `make test` runs a course of seconds; `make chaos` runs it at full length and prints a report.
// The faults are random; MILLRACE_CHAOS_SEED repeats a choice of them, though not its timing.
package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// size is how much of everything there is.
type size struct {
	jobs, faults, workers, tunes      int
	slow                              int // values of a tune's second parameter
	writers, events, spaces, restarts int
	keys, clients, kills              int
	overload                          time.Duration
	neighbours                        int // small tunes beside a huge one
}

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		if err := beWorker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log by the global logger
	began := time.Now()
	code := m.Run()
	report.print(time.Since(began))
	_ = os.RemoveAll(built.dir)
	os.Exit(code)
}

// report is what the suite found, in the order in which it was found.
var report findings

type findings struct {
	mu    sync.Mutex
	lines []string
}

// say adds a line to the report.
func (f *findings) say(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

func (f *findings) print(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 || !testing.Verbose() {
		return
	}
	fmt.Printf("\nchaos report (%s)\n", took.Round(time.Second))
	for _, line := range f.lines {
		fmt.Println("  " + line)
	}
	fmt.Println()
}

// beside lets the tests of the small course run side by side: they mostly wait, each has all that it
// works with to itself, and none of these judges by the clock.
func beside(t *testing.T) {
	t.Helper()
	if !full {
		t.Parallel()
	}
}

// chance is the choice of faults.
func chance(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("MILLRACE_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("MILLRACE_CHAOS_SEED: %v", err)
		}
	}
	t.Logf("MILLRACE_CHAOS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
