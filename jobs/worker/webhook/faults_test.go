//go:build chaos

package webhook_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/store/webhooks"
)

// Workers are killed and frozen, and the frozen ones wake beside their successors; sessions with the database are cut; the
// receiver breaks connections, fails and hangs. MILLRACE_DELIVERIES is how many messages are to come through: none may be
// missing, forged or, without repeats, out of the order of the log.
func TestDeliveriesUnderFaultsAreNeitherLostNorOutOfOrder(t *testing.T) {
	f := newFixture(t)
	all := 10_000
	if text := os.Getenv("MILLRACE_DELIVERIES"); text != "" {
		var err error
		all, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	f.subscribe(webhooks.Settings{Topics: []string{"backtests"}})
	var writers errgroup.Group
	for n := range 4 {
		writers.Go(func() error {
			for k := 0; k < all/4; k += 10 {
				if _, err := f.owner.Exec(t.Context(), addEvents, f.space.ID, "backtest.tune.progress", fmt.Sprintf("%d/%d", n, k), 10); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, writers.Wait())
	expected := f.logged("backtests")

	began := time.Now()
	worker := f.child()
	var frozen *exec.Cmd
	happened := map[string]int{}
	faults := min(max(all/1500, 4), 40)
	for i := range faults {
		f.eventuallyTakes((i + 1) * all / (faults + 1))
		switch i % 4 {
		case 0:
			happened["killed"]++
			f.end(worker)
			worker = f.child()
		case 1:
			happened["frozen"]++
			require.NoError(t, worker.Process.Signal(syscall.SIGSTOP))
			frozen, worker = worker, f.child()
		case 2:
			happened["sessions cut"]++
			_, err := f.owner.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
			require.NoError(t, err)
		case 3:
			happened["receiver broke"]++
			f.receiver.answer(broken())
		}
		if i%4 == 2 && frozen != nil { // it wakes while its successor works, and is killed with the next
			require.NoError(t, frozen.Process.Signal(syscall.SIGCONT))
		}
	}
	f.eventuallyTakes(len(expected))
	took := time.Since(began)
	entities := f.receiver.entities()
	require.Equal(t, len(expected), len(entities))
	for i, entity := range entities {
		if entity != expected[i] {
			t.Fatalf("message %d is of %s, and the log has %s there", i, entity, expected[i])
		}
	}
	first, requests := f.receiver.taken()
	for _, g := range first {
		require.Equal(t, 1, g.valid, "message %s has no valid signature", g.id)
	}
	t.Logf("%d messages, 0 lost, 0 out of order, 0 without a valid signature, under %v; %d requests in %s", len(first), happened, requests, took.Round(time.Second))
}

// broken answers some requests with broken connections, errors and silence, and the others well.
func broken() func(w http.ResponseWriter, r *http.Request, nth int) bool {
	from := 0
	return func(w http.ResponseWriter, r *http.Request, nth int) bool {
		if from == 0 {
			from = nth
		}
		switch nth - from {
		case 0, 1:
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
			return true
		case 2, 3:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 4: // the sender gives it up
			<-r.Context().Done()
			return true
		}
		return false
	}
}
