package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// BenchmarkIdleStreams opens 10,000 and 50,000 streams to one API process, or as many as the limit of open files allows,
// reports its resident memory, and times one event from its commit to the last of them. Beside it, a program that does
// nothing else writes the same bytes to as many connections of the same clients, from a goroutine for each processor:
// no server can be faster. Medians of both, and the processor time that each takes of its own process and of the clients.
func BenchmarkIdleStreams(b *testing.B) {
	for _, clients := range []int{10_000, 50_000} {
		b.Run(fmt.Sprintf("streams=%d", clients), func(b *testing.B) { benchIdleStreams(b, clients) })
	}
}

// fanOuts is how often an event is timed in a round.
const fanOuts = 9

func benchIdleStreams(b *testing.B, clients int) {
	clients = min(clients, allowFiles(b, clients+1000)-1000)
	s := newStreamed(b)
	api := s.process("api", "--addr", "127.0.0.1:0")
	address := api.await("addr=")
	empty := residentMB(b, api.cmd.Process.Pid) // once: what streams took is not given back between rounds
	var idle, after float64
	var ours, floor fanOut
	for b.Loop() {
		crowd := newCrowd(b, clients, func(from net.IP) (net.Conn, error) { return dialStream(b, from, address, s.key) })
		idle = residentMB(b, api.cmd.Process.Pid)
		for range fanOuts {
			ours.measure(b, api.cmd.Process.Pid, crowd, func() time.Time {
				require.NoError(b, s.publish(b.Context(), "hello"))
				return time.Now()
			})
		}
		after = residentMB(b, api.cmd.Process.Pid)
		crowd.leave(b)
		bareFanOut(b, &floor, clients, crowd.sample)
	}
	b.ReportMetric(float64(clients), "streams")
	b.ReportMetric(idle, "MB-idle")
	b.ReportMetric((idle-empty)*1024/float64(clients), "kB/stream")
	b.ReportMetric(empty, "MB-empty")
	b.ReportMetric(after, "MB-after")
	ours.report(b, "fanout")
	floor.report(b, "floor")
	b.ReportMetric(median(ours.took)/median(floor.took), "fanout/floor")
	b.ReportMetric(0, "ns/op")
}

// fanOut is what events took to come to all clients, in milliseconds.
type fanOut struct{ took, server, clients []float64 }

// measure times one event; publish returns when it was there for the server.
func (f *fanOut) measure(b *testing.B, pid int, crowd *crowd, publish func() time.Time) {
	server, clients := runTimeOf(b, pid), runTimeOf(b, os.Getpid())
	start := publish()
	crowd.await(b)
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	f.took = append(f.took, ms(time.Since(start)))
	f.server = append(f.server, ms(runTimeOf(b, pid)-server))
	f.clients = append(f.clients, ms(runTimeOf(b, os.Getpid())-clients))
}

func (f *fanOut) report(b *testing.B, name string) {
	b.ReportMetric(median(f.took), name+"-ms")
	b.ReportMetric(median(f.server), name+"-server-cpu-ms")
	b.ReportMetric(median(f.clients), name+"-clients-cpu-ms")
}

func median(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// crowd is many connections, which one goroutine reads: they share the processors with what is measured, so they take
// as little of them as they can.
type crowd struct {
	conns  []net.Conn
	epoll  int
	sample []byte // the event that the first of them got last
	buffer [16 << 10]byte
}

func newCrowd(b *testing.B, clients int, dial func(from net.IP) (net.Conn, error)) *crowd {
	c := &crowd{conns: make([]net.Conn, clients)}
	var err error
	c.epoll, err = syscall.EpollCreate1(0)
	require.NoError(b, err)
	var open errgroup.Group
	open.SetLimit(64)
	for i := range clients {
		open.Go(func() (err error) { // an address has ports for less than 30,000
			c.conns[i], err = dial(net.IPv4(127, 0, 0, byte(2+i/10_000)))
			return err
		})
	}
	require.NoError(b, open.Wait())
	for i, conn := range c.conns {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		require.NoError(b, err)
		require.NoError(b, raw.Control(func(fd uintptr) {
			err = syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, int(fd), &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd), Pad: int32(i)})
		}))
		require.NoError(b, err)
	}
	return c
}

// await reads until every connection has got an event.
func (c *crowd) await(b *testing.B) {
	ready := make([]syscall.EpollEvent, 512)
	for waiting := len(c.conns); waiting > 0; {
		n, err := syscall.EpollWait(c.epoll, ready, 300_000)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		require.NoError(b, err)
		require.NotZero(b, n, "%d clients got no event for five minutes", waiting)
		for _, e := range ready[:n] {
			size, err := syscall.Read(int(e.Fd), c.buffer[:])
			require.NoError(b, err)
			require.NotZero(b, size)
			if got := c.buffer[:size]; bytes.Contains(got, []byte("event: bench")) { // and not a heartbeat
				if waiting--; e.Pad == 0 {
					c.sample = bytes.Clone(got)
				}
			}
		}
	}
}

func (c *crowd) leave(b *testing.B) {
	for _, conn := range c.conns {
		require.NoError(b, conn.Close())
	}
	require.NoError(b, syscall.Close(c.epoll))
}

// errBusy says that the API wants to be asked again in a second.
var errBusy = errors.New("the API is busy")

// dialStream opens a stream as a client does that obeys Retry-After.
func dialStream(b *testing.B, from net.IP, address, key string) (net.Conn, error) {
	for {
		conn, err := dialOnce(b, from, address, key)
		if !errors.Is(err, errBusy) {
			return conn, err
		}
		select {
		case <-b.Context().Done():
			return nil, b.Context().Err()
		case <-time.After(time.Second):
		}
	}
}

// dialOnce opens a stream by hand: ten thousand of net/http's clients would be what is measured.
func dialOnce(b *testing.B, from net.IP, address, key string) (net.Conn, error) {
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).DialContext(b.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET /events/stream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", address, key)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 1024)
	status, err := in.ReadString('\n')
	if err == nil && strings.Contains(status, " 503 ") {
		return nil, errors.Join(errBusy, conn.Close())
	}
	if err != nil || !strings.Contains(status, " 200 ") {
		return nil, fmt.Errorf("stream: %q %w", status, err)
	}
	for line := ""; !strings.HasPrefix(line, "retry: "); {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	return conn, nil
}

// bareWrites is the variable by which the test program becomes the writer of the floor, for so many clients.
const bareWrites = "MILLRACE_BENCH_BARE_WRITES"

func bareFanOut(b *testing.B, f *fanOut, clients int, frame []byte) {
	program, err := os.Executable()
	require.NoError(b, err)
	writer := exec.Command(program)
	writer.Env = append(os.Environ(), bareWrites+"="+strconv.Itoa(clients))
	in, err := writer.StdinPipe()
	require.NoError(b, err)
	out, err := writer.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, writer.Start())
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	crowd := newCrowd(b, clients, func(from net.IP) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).DialContext(b.Context(), "tcp", strings.TrimSpace(address))
	})
	for range fanOuts {
		f.measure(b, writer.Process.Pid, crowd, func() time.Time {
			start := time.Now()
			_, err := in.Write(frame)
			require.NoError(b, err)
			return start
		})
	}
	crowd.leave(b)
	require.NoError(b, in.Close())
	require.NoError(b, writer.Wait())
}

// writeBare accepts connections, and writes what it reads, at most a page, to all of them.
func writeBare(clients int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	conns := make([]net.Conn, clients)
	for i := range conns {
		if conns[i], err = listener.Accept(); err != nil {
			return err
		}
	}
	var page [4096]byte
	for {
		n, err := os.Stdin.Read(page[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var next atomic.Int64
		var group errgroup.Group
		for range 2 {
			group.Go(func() error {
				for i := next.Add(1) - 1; int(i) < len(conns); i = next.Add(1) - 1 {
					if _, err := conns[i].Write(page[:n]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

// runTimeOf reads what the threads of a process, which may come and go, have run so far.
func runTimeOf(b *testing.B, pid int) (all time.Duration) {
	b.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if errors.Is(err, os.ErrNotExist) { // it has ended
		return 0
	}
	require.NoError(b, err)
	for _, task := range tasks {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		require.NoError(b, err)
		ran, err := strconv.ParseInt(strings.Fields(string(stat))[0], 10, 64)
		require.NoError(b, err)
		all += time.Duration(ran)
	}
	return all
}
