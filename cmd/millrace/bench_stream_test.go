package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// BenchmarkStreamLatency writes 2,000 events a second, a commit each, for five seconds, and times
// from the return of the commit to the event at a client of an API process; three clients listen.
func BenchmarkStreamLatency(b *testing.B) {
	const rate, seconds, clients, writers = 2000, 5, 3, 16
	s := newStreamed(b)
	s.url = "http://" + s.process("api", "--addr", "127.0.0.1:0").await("addr=")
	var took []time.Duration
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
					<-time.After(time.Until(start.Add(time.Duration(i) * time.Second / rate)))
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

// BenchmarkIdleStreams opens 10,000 streams to one API process, reports its resident memory, and
// times one event from its commit to the last of them.
func BenchmarkIdleStreams(b *testing.B) {
	const clients = 10_000
	s := newStreamed(b)
	api := s.process("api", "--addr", "127.0.0.1:0")
	address := api.await("addr=")
	before := residentMB(b, api.cmd.Process.Pid)
	var got atomic.Int64
	heard := make(chan struct{}, clients)
	var open errgroup.Group
	open.SetLimit(64)
	for range clients {
		open.Go(func() error {
			conn, in, err := dialStream(b, address, s.key)
			if err != nil {
				return err
			}
			b.Cleanup(func() { _ = conn.Close() })
			go func() {
				for line, err := in.ReadSlice('\n'); err == nil; line, err = in.ReadSlice('\n') {
					if bytes.HasPrefix(line, []byte("event: bench")) {
						got.Add(1)
						heard <- struct{}{}
					}
				}
			}()
			return nil
		})
	}
	require.NoError(b, open.Wait())
	idle := residentMB(b, api.cmd.Process.Pid)
	var fanOut time.Duration
	for b.Loop() {
		require.NoError(b, s.publish(b.Context(), "hello"))
		start := time.Now()
		for range clients {
			<-heard
		}
		fanOut += time.Since(start)
	}
	b.ReportMetric(idle, "MB-idle")
	b.ReportMetric((idle-before)*1024/clients, "kB/stream")
	b.ReportMetric(before, "MB-empty")
	b.ReportMetric(residentMB(b, api.cmd.Process.Pid), "MB-after")
	b.ReportMetric(float64(fanOut.Milliseconds())/float64(b.N), "fanout-ms")
	b.ReportMetric(0, "ns/op")
}

// dialStream opens a stream by hand: ten thousand of net/http's clients would be what is measured.
func dialStream(b *testing.B, address, key string) (net.Conn, *bufio.Reader, error) {
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	_, err = fmt.Fprintf(conn, "GET /events/stream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", address, key)
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(conn, 1024)
	status, err := in.ReadString('\n')
	if err != nil || !strings.Contains(status, " 200 ") {
		return nil, nil, fmt.Errorf("stream: %q %w", status, err)
	}
	for line := ""; !strings.HasPrefix(line, "retry: "); {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, nil, err
		}
	}
	return conn, in, nil
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
