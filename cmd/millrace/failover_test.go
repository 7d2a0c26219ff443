package main

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/localpg"
)

// replica is a primary with work, and a streaming replica of it made as the chapter says.
type replica struct {
	t       *testing.T
	chapter *chapter
	fleet   *fleetUnderTest
	primary *localpg.Cluster
	standby *localpg.Cluster
	both    string // the URL that names both
}

func newReplica(t *testing.T) *replica {
	t.Helper()
	r := &replica{t: t, primary: newCluster(t, nil)}
	r.fleet = newFleetOn(t, r.primary)
	r.chapter = openChapter(t, "failover.md", r.fleet.binary)
	pgdata := filepath.Join(reachable(t), "pgdata")
	r.chapter.vars["SUPERUSER_URL"], r.chapter.vars["REPLICA_DATA"] = r.primary.URL(), pgdata
	r.chapter.mustRun("replica")
	r.standby = startOn(t, pgdata, r.primary.URL(), nil)
	r.chapter.vars["REPLICA_URL"] = r.standby.URL()

	first, err := url.Parse(r.primary.URL())
	require.NoError(t, err)
	second, err := url.Parse(r.standby.URL())
	require.NoError(t, err)
	password, _ := first.User.Password()
	both := strings.NewReplacer("$PRIMARY", first.Host, "$REPLICA", second.Host, "PASSWORD", password, "millrace_server", first.User.Username()).
		Replace(r.chapter.block("sh url"))
	_, both, _ = strings.Cut(strings.TrimSpace(both), "=")
	r.both = strings.Trim(both, `"`) + "&sslmode=disable"
	return r
}

// caughtUp waits until the replica has what the primary has written.
func (r *replica) caughtUp() {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.primary.URL())
	require.NoError(r.t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	require.Eventually(r.t, func() bool {
		var replayed bool
		err := conn.QueryRow(r.t.Context(), `select coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false) from pg_stat_replication`).Scan(&replayed)
		return err == nil && replayed
	}, 30*time.Second, 10*time.Millisecond)
}

// promote kills the primary and promotes the replica.
func (r *replica) promote() {
	r.t.Helper()
	killed, cancel := context.WithCancel(r.t.Context())
	cancel()
	_ = r.primary.Stop(killed)
	require.Contains(r.t, r.chapter.mustRun("promote"), "t")
}

// firstEvent opens the stream at a cursor and returns the name of the first event it gets.
func (f *fleetUnderTest) firstEvent(cursor string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/events/stream", nil)
	require.NoError(f.t, err)
	req.Header.Set("Authorization", "Bearer "+f.key)
	req.Header.Set("Last-Event-ID", cursor)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, found := strings.CutPrefix(lines.Text(), "event: "); found {
			return name
		}
	}
	return ""
}

// The primary dies and the replica is promoted: the servers find it by the URL that names both, what
// was answered before is there, work continues, and a stream of the old history gets reset.
func TestAReplicaTakesOver(t *testing.T) {
	r := newReplica(t)
	f := r.fleet
	api := f.process("api", "--addr", "127.0.0.1:0", "--database-url", r.both)
	f.url = "http://" + api.await("addr=")
	f.process("worker", "--queues", "trials:1,tunes:1", "--database-url", r.both).await("worker ready")
	tune := f.finishedTune()
	want := f.answers(tune.TuneID)
	cursor := logEnd(t, r.primary.URL()).String()
	r.caughtUp()

	var said bytes.Buffer
	require.Equal(t, 1, run(t.Context(), []string{"doctor", "--database-url", r.standby.URL()}, &said, &said))
	require.Contains(t, said.String(), "standby", "a replica that only reads is named")
	status, _ := f.call(http.MethodGet, "/healthz", "", nil)
	require.Equal(t, http.StatusOK, status)

	r.promote()
	require.Eventually(t, func() bool {
		status, _ := f.call(http.MethodGet, "/readyz", "", nil)
		return status == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "the API does not find the new primary")
	require.Equal(t, want, f.answers(tune.TuneID))
	require.Eventually(t, func() bool { return f.firstEvent(cursor) == "reset" }, time.Minute, 20*time.Millisecond,
		"a cursor of the old primary's history is taken")
	again := f.wait(f.submit("after", strings.Replace(smallTune, "[5,10]", "[6,11]", 1)).TuneID, ended)
	require.Equal(t, "completed", again.Status)
	require.Eventually(t, func() bool { return strings.Contains(api.log.String(), "the event log was replaced") }, time.Minute, 20*time.Millisecond,
		"the listener connects again within a few seconds")
}
