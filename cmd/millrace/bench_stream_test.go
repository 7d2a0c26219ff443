package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"golang.org/x/sync/errgroup"
	"millrace/api/client"
	"millrace/api/types"
)

// streamed is a fleet with an API process, and a pool that appends events to its log.
type streamed struct {
	*fleetUnderTest
	pool  *pgxpool.Pool
	space uuid.UUID
}

func newStreamed(b *testing.B) *streamed {
	b.Helper()
	s := &streamed{fleetUnderTest: newFleet(b)}
	var err error
	s.pool, err = pgxpool.New(b.Context(), s.cluster.URL()+"&pool_max_conns=16")
	require.NoError(b, err)
	b.Cleanup(s.pool.Close)
	require.NoError(b, s.pool.QueryRow(b.Context(), `select id from workspaces`).Scan(&s.space))
	return s
}

// publish commits one event.
func (s *streamed) publish(ctx context.Context, entity string) error {
	_, err := s.pool.Exec(ctx, `
		insert into event_log (workspace_id, topic, type, entity_id, payload) values ($1, 'backtests', 'bench', $2, '{"n": 1}')`,
		s.space, entity)
	return err
}

// BenchmarkStreamLatency writes 1,000, 2,000 and 5,000 events a second, a commit each, for five seconds, and times
// from the return of the commit to the event at a client of an API process; three clients listen. It reports what
// processor time an event takes the API process, which writes it to all three, and what an idle one takes.
func BenchmarkStreamLatency(b *testing.B) {
	s := newStreamed(b)
	api := s.process("api", "--addr", "127.0.0.1:0")
	s.url = "http://" + api.await("addr=")
	for _, rate := range []int{1000, 2000, 5000} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) { s.latency(b, rate, api.cmd.Process.Pid) })
	}
	b.Run("idle", func(b *testing.B) {
		var used, passed time.Duration
		for b.Loop() {
			before, start := processorTimeOf(b, api.cmd.Process.Pid), time.Now()
			time.Sleep(5 * time.Second) // nothing to wait for: what the process uses in this time is the figure
			used, passed = used+processorTimeOf(b, api.cmd.Process.Pid)-before, passed+time.Since(start)
		}
		b.ReportMetric(100*used.Seconds()/passed.Seconds(), "%-of-a-core")
		b.ReportMetric(0, "ns/op")
	})
}

func (s *streamed) latency(b *testing.B, rate, pid int) {
	const seconds, clients, writers = 5, 3, 16
	var took []time.Duration
	before := processorTimeOf(b, pid)
	var wrote time.Duration
	for b.Loop() {
		committed := make([]atomic.Int64, rate*seconds)
		var listening, done sync.WaitGroup
		times := make([][]time.Duration, clients)
		for c := range clients {
			listening.Add(1)
			done.Go(func() { times[c] = s.listen(b, committed, listening.Done) })
		}
		listening.Wait()
		start := time.Now()
		var group errgroup.Group
		for w := range writers {
			group.Go(func() error {
				for i := w; i < len(committed); i += writers {
					<-time.After(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
					if err := s.publish(b.Context(), strconv.Itoa(i)); err != nil {
						return err
					}
					committed[i].Store(time.Now().UnixNano())
				}
				return nil
			})
		}
		require.NoError(b, group.Wait())
		wrote += time.Since(start)
		done.Wait()
		for _, t := range times {
			require.Len(b, t, rate*seconds)
			took = append(took, t...)
		}
	}
	slices.Sort(took)
	ms := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(float64(rate*seconds*b.N)/wrote.Seconds(), "commits/s")
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(ms(1), "max-ms")
	b.ReportMetric(float64((processorTimeOf(b, pid)-before).Microseconds())/float64(rate*seconds*b.N), "us-of-api/event")
	b.ReportMetric(0, "ns/op")
}

// listen reads a stream until it has seen every event, and says how long after its commit each
// came. An event may come before its writer has noted the commit: that counts as zero.
func (s *streamed) listen(b *testing.B, committed []atomic.Int64, ready func()) []time.Duration {
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/events/stream?topics=backtests", nil)
	require.NoError(b, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	defer resp.Body.Close()
	require.Equal(b, http.StatusOK, resp.StatusCode)
	in := client.NewSSEReader(resp.Body)
	var took []time.Duration
	ready()
	for len(took) < len(committed) {
		e, err := in.Next(nil)
		if err != nil {
			b.Error(err)
			return took
		}
		now := time.Now().UnixNano()
		var view types.Event
		if err := json.Unmarshal(e.Data, &view); err != nil {
			b.Error(err)
			return took
		}
		i, err := strconv.Atoi(view.EntityID)
		if err != nil {
			b.Error(err)
			return took
		}
		at := committed[i].Load()
		if at == 0 {
			at = now
		}
		took = append(took, time.Duration(now-at))
	}
	return took
}

// allowFiles has this process, and those that it starts, open so many files, and returns how many they may.
func allowFiles(b *testing.B, many int) int {
	b.Helper()
	var limit syscall.Rlimit
	require.NoError(b, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	raised := syscall.Rlimit{Cur: uint64(many), Max: max(uint64(many), limit.Max)}
	if limit.Cur >= raised.Cur || syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return many
	}
	return int(limit.Cur)
}

// processorTimeOf reads what a process has taken of all cores, to a hundredth of a second.
func processorTimeOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int
	for _, field := range fields[11:13] { // in the program, and in the kernel
		n, err := strconv.Atoi(field)
		require.NoError(b, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// residentMB reads the resident memory of a process.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(b, err)
	return float64(kb) / 1024
}
