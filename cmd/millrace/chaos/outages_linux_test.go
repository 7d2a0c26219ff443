package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// disk is a small file system with the database's files, but for the log of its writes: a full disk
// there ends the server, which is another fault.
type disk struct {
	t       *testing.T
	folder  string
	ballast string
}

// newDisk mounts one; only root may.
func newDisk(t *testing.T, megabytes int) *disk {
	t.Helper()
	requireRoot(t)
	folder, err := os.MkdirTemp("", "millrace-chaos-disk-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(folder, 0o755)) // the server runs as another user
	require.NoError(t, syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=755", megabytes)))
	t.Cleanup(func() {
		require.NoError(t, syscall.Unmount(folder, syscall.MNT_DETACH))
		_ = os.Remove(folder)
	})
	return &disk{t: t, folder: folder, ballast: filepath.Join(folder, "ballast")}
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("MILLRACE_REQUIRE") != "" {
			t.Fatal("this fault needs root")
		}
		t.Skip("this fault needs root")
	}
}

// fill leaves not a block free.
func (d *disk) fill() {
	d.t.Helper()
	file, err := os.Create(d.ballast)
	require.NoError(d.t, err)
	for _, size := range []int{1 << 20, 4 << 10} {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
		require.True(d.t, errors.Is(err, syscall.ENOSPC), "%v", err)
	}
	require.NoError(d.t, file.Close())
}

func (d *disk) free() {
	d.t.Helper()
	require.NoError(d.t, os.Remove(d.ballast))
}

// onDisk has the database's files on the disk, and the log of its writes beside it.
func onDisk(d *disk) func(*deployment) {
	return func(s *deployment) { s.data = filepath.Join(d.folder, "pg") }
}

// moveLog moves the log of writes off the disk.
func (s *deployment) moveLog() {
	s.t.Helper()
	var data string
	require.NoError(s.t, s.owner.QueryRow(s.t.Context(), `show data_directory`).Scan(&data))
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NoError(s.t, s.cluster.Stop(context.Background()))
	folder, err := os.MkdirTemp("", "millrace-chaos-log-")
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(s.t, os.Chmod(folder, 0o755))
	out, err := exec.Command("cp", "-a", filepath.Join(data, "pg_wal"), folder).CombinedOutput()
	require.NoError(s.t, err, string(out))
	require.NoError(s.t, os.RemoveAll(filepath.Join(data, "pg_wal")))
	require.NoError(s.t, os.Symlink(filepath.Join(folder, "pg_wal"), filepath.Join(data, "pg_wal")))
	s.startDatabase()
}

// outage is what a fault of the whole database looked like from outside.
type outage struct {
	noticed            time.Duration // until health said error; negative: it never did
	answers            map[int]int   // of submissions, by status
	withoutRetryAfter  int           // answers 503 that do not say when to come back
	mended, goingAgain time.Duration // since the fault's end: until health said no error, until a job of a tune was finished
}

// suffer submits and looks at health until the outage has lasted, ends it, and waits for work to go on.
func (d *submitter) suffer(lasts time.Duration, end func()) outage {
	d.t.Helper()
	o := outage{noticed: -1, answers: map[int]int{}}
	began := time.Now()
	for n := 0; time.Since(began) < lasts; n++ {
		if o.noticed < 0 && d.server.health(d.t) == "error" {
			o.noticed = time.Since(began)
		}
		status, retry := d.submit(fmt.Sprint("outage", n))
		o.answers[status]++
		if status == http.StatusServiceUnavailable && retry == "" {
			o.withoutRetryAfter++
		}
		<-time.After(200 * time.Millisecond)
	}
	// A full disk lets shards be saved where a table has room, so what is left may be a ranking.
	const finished = `select count(*) from river_job where kind like 'tune.%' and state = 'completed'`
	var before int
	d.insist("count finished jobs of tunes", func(ctx context.Context) error { return d.owner.QueryRow(ctx, finished).Scan(&before) })
	end()
	ended := time.Now()
	require.Eventually(d.t, func() bool { return d.count(finished) > before }, time.Minute, 50*time.Millisecond, "no job of a tune is finished after the outage")
	o.goingAgain = time.Since(ended)
	status, why := d.server.diagnosis(d.t)
	for ; status == "error"; status, why = d.server.diagnosis(d.t) {
		require.Less(d.t, time.Since(ended), o.goingAgain+time.Minute, "health stays error after the outage: %s", why)
		<-time.After(100 * time.Millisecond)
	}
	o.mended = time.Since(ended)
	return o
}

// submit makes a submission that stores some megabytes, and returns the status and Retry-After.
func (d *submitter) submit(name string) (int, string) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s.txt\"\r\n\r\n", name)
	body.WriteString(strings.Repeat(name+" is a word. ", 100_000))
	body.WriteString("\r\n--b--\r\n")
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.server.url+"/ingest/text", &body)
	if err != nil {
		return 0, ""
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	req.Header.Set("X-Idempotency-Key", name)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

// outageEnv says how long the outages of the database last, as in 30s, whatever the fault.
const outageEnv = "MILLRACE_OUTAGE"

// outageOf is how long a database that takes no writes does so: in `make chaos` as long as such a fault goes
// unnoticed by an operator.
func outageOf(t *testing.T, whole time.Duration) time.Duration {
	t.Helper()
	if text := os.Getenv(outageEnv); text != "" {
		lasts, err := time.ParseDuration(text)
		require.NoError(t, err, outageEnv)
		return lasts
	}
	if full {
		return whole
	}
	return 8 * time.Second
}

// A database that is out of room, or refuses writes, holds work up and loses none of it: no attempt is
// spent, health says error, submissions are asked to come back, and all continues once it takes writes.
func TestADatabaseThatTakesNoWritesLosesNothing(t *testing.T) {
	drills(t)
	for _, fault := range []struct {
		name    string
		lasts   time.Duration
		prepare func(*testing.T) (*deployment, func(), func())
	}{
		{"disk full", 2 * time.Minute, func(t *testing.T) (*deployment, func(), func()) {
			d := newDisk(t, 256)
			s := newDeployment(t, onDisk(d))
			s.moveLog()
			return s, d.fill, d.free
		}},
		{"writes refused", 50 * time.Second, func(t *testing.T) (*deployment, func(), func()) {
			s := newDeployment(t)
			// Of a session that may write whatever the database's setting.
			writer, err := pgx.Connect(t.Context(), s.direct+"&default_transaction_read_only=off&application_name=")
			require.NoError(t, err)
			t.Cleanup(func() { _ = writer.Close(context.Background()) })
			set := func(to string) func() {
				return func() {
					_, err := writer.Exec(t.Context(), `do $$ begin execute format('alter database %I set default_transaction_read_only = `+to+`', current_database()); end $$`)
					require.NoError(t, err)
					_, err = writer.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where application_name <> ''`)
					require.NoError(t, err)
				}
			}
			return s, set("on"), set("off")
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			s, begin, end := fault.prepare(t)
			front := s.serve(0)
			space, key := s.tenant("outage")
			d := &submitter{deployment: s, server: front, space: space.ID, key: key}
			d.upload()
			for range 2 {
				s.run([]string{"DATABASE_URL=" + s.direct, "MILLRACE_SHARD_TIME=100ms", "MILLRACE_LOG=warn"}, s.binary,
					"worker", "--queues", "trials:1,tunes:1,wfo:1,ingestion:1,maintenance:1")
			}
			calm := d.tune("calm", 5)
			d.await(calm)
			tune, walk := d.tune("struck", 40), d.walkForward("struck")
			require.Eventually(t, func() bool {
				return s.count(`select count(*) from tune_progress where shards_done between 1 and shards - 3`) > 0
			},
				time.Minute, 20*time.Millisecond)
			lasts := outageOf(t, fault.lasts)
			begin()
			o := d.suffer(lasts, end)
			small := d.tune("after", 5)
			d.awaitAll([]string{tune, small})
			d.awaitWalk(walk)
			require.Equal(t, d.outcome(calm), d.outcome(small))
			spent := s.count(`select count(*) from river_job where attempt > 1`)
			failed := s.count(`select (select count(*) from tunes where status = 'failed') + (select count(*) from wfo_runs where status = 'failed')
				+ (select count(*) from ingest_jobs where status = 'failed')`)
			waited := s.count(`select count(*) from river_job where metadata ? 'snoozes'`)
			report.say("%s for %s: %d lost, %d jobs spent an attempt, %d waited; health said error after %s and not %s after the end; a job of a tune was finished %s after it; submissions %v",
				fault.name, lasts, failed, spent, waited, o.noticed.Round(10*time.Millisecond), o.mended.Round(10*time.Millisecond), o.goingAgain.Round(10*time.Millisecond), o.answers)
			require.Zero(t, failed)
			require.Zero(t, spent)
			require.GreaterOrEqual(t, o.noticed, time.Duration(0), "health never said error")
			require.Zero(t, o.answers[http.StatusInternalServerError])
			require.Positive(t, o.answers[http.StatusServiceUnavailable])
			require.Zero(t, o.withoutRetryAfter)
		})
	}
}
