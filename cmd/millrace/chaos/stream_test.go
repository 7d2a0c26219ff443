package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/eventlog"
	"millrace/store/tenants"
)

// torrent is a log that many write and many follow.
type torrent struct {
	*deployment
	servers []*server
	spaces  []tenant
	written atomic.Int64
	acked   atomic.Int64 // events of transactions whose commit was answered
}

type tenant struct {
	tenants.Workspace
	key     string
	expired []string // cursors into yesterday
}

// Many writers, two API processes and readers that drop and resume, while the API processes are
// killed, the database is restarted and yesterday is pruned. Each reader ends with what the log
// holds of its workspace from where it began: each event, once, in order.
func TestNoStreamMissesOrRepeatsAnEvent(t *testing.T) {
	beside(t)
	r := &torrent{deployment: newDeployment(t)}
	r.servers = []*server{r.serve(0), r.serve(1)}
	for i := range sizes.spaces {
		w, key := r.tenant(fmt.Sprint("stream", i))
		r.spaces = append(r.spaces, tenant{Workspace: w, key: key})
	}
	r.yesterday()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go supervise(ctx, r.servers[0].process, r.servers[1].process)
	rng := chance(t)

	var readers []*reader
	var reading sync.WaitGroup
	for i := range 2 * len(r.spaces) {
		rd := &reader{torrent: r, tenant: r.spaces[i/2], rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), slow: i == 0, begun: make(chan struct{})}
		readers = append(readers, rd)
		reading.Go(func() { rd.follow(ctx) })
	}
	for _, rd := range readers {
		<-rd.begun
	}
	began := time.Now()
	var writing sync.WaitGroup
	for w := range sizes.writers {
		seed := rng.Uint64()
		writing.Go(func() { r.write(ctx, w, seed) })
	}
	strikes := r.disturb(rng, readers)
	writing.Wait()
	wrote := time.Since(began)

	logged := map[string][]place{}
	all := 0
	for _, space := range r.spaces {
		logged[space.Name] = r.log(space)
		all += len(logged[space.Name])
	}
	var missed, repeated, disordered, drops, seen int
	for _, rd := range readers {
		m, p, d := rd.judge(logged[rd.tenant.Name])
		missed, repeated, disordered = missed+m, repeated+p, disordered+d
		drops += rd.drops
		seen += len(rd.seen)
	}
	cancel()
	reading.Wait()
	resets, tries := r.expire()
	report.say("stream: %d writers, %d events in %s, %d readers took %d and were dropped %d times; %s: %d missed, %d repeated, %d out of order",
		sizes.writers, all, wrote.Round(time.Second), len(readers), seen, drops, strikes, missed, repeated, disordered)
	report.say("  expired cursors: %d of %d asked to begin again", resets, tries)
	require.Zero(t, missed)
	require.Zero(t, repeated)
	require.Zero(t, disordered)
	require.Equal(t, tries, resets)
	require.GreaterOrEqual(t, int64(all), r.acked.Load(), "an answered commit is gone")
	require.GreaterOrEqual(t, all, sizes.events)
}

// yesterday gives the log a day that is over, and takes cursors into it as a client would.
func (r *torrent) yesterday() {
	r.t.Helper()
	day := time.Now().UTC().Truncate(24 * time.Hour)
	_, err := r.owner.Exec(r.t.Context(), fmt.Sprintf(`
		create table event_log_%s (like event_log including defaults);
		alter table event_log attach partition event_log_%[1]s for values from ('%[2]s') to ('%[3]s')`,
		day.AddDate(0, 0, -1).Format("20060102"), day.AddDate(0, 0, -1).Format(time.RFC3339), day.Format(time.RFC3339)))
	require.NoError(r.t, err)
	for i := range r.spaces {
		space := &r.spaces[i]
		_, err := r.owner.Exec(r.t.Context(), `
			insert into event_log (workspace_id, topic, type, entity_id, at)
			select $1, 'wfo', 'chaos.yesterday', '', $2 from generate_series(1, 10)`, space.ID, day.Add(-time.Hour))
		require.NoError(r.t, err)
		bounds, err := r.store.EventLog.Bounds(r.t.Context())
		require.NoError(r.t, err)
		require.Eventually(r.t, func() bool {
			found, err := r.store.EventLog.Events(r.t.Context(), eventlog.Scope{Workspace: space.scope()}, bounds.Floor, 100)
			if err != nil || len(found) < 10 {
				return false
			}
			for _, e := range found {
				space.expired = append(space.expired, e.Cursor.String())
			}
			return true
		}, 10*time.Second, 10*time.Millisecond)
	}
}

// write commits transactions of one to forty events of one workspace, one writer's share of all of
// them. Some are open for a while before they commit, so that events become visible out of order.
func (r *torrent) write(ctx context.Context, w int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}()
	for ctx.Err() == nil && r.written.Load() < int64(sizes.events)+100 {
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.Connect(ctx, r.direct); err != nil {
				<-time.After(50 * time.Millisecond)
				continue
			}
		}
		n := 1 + rng.IntN(40)
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `
				insert into event_log (workspace_id, topic, type, entity_id)
				select $1, 'backtests', 'chaos', $2::text || '/' || n from generate_series(1, $3) n`,
				pick(rng, r.spaces).ID, fmt.Sprint(w), n)
			if err == nil && rng.IntN(10) == 0 {
				_, err = tx.Exec(ctx, `select pg_sleep($1)`, rng.Float64()*0.05)
			}
			return err
		})
		if err == nil {
			r.acked.Add(int64(n))
			r.written.Add(int64(n))
		}
	}
}

// disturb kills API processes and restarts the database while the writers are at it, and prunes
// yesterday in between. It says what it did. Yesterday goes once every reader is past it: on a busy
// machine a reader can still be there, and must begin again, as it should.
func (r *torrent) disturb(rng *rand.Rand, readers []*reader) string {
	kills, restarts, crashes := 0, 0, 0
	for i := range 2*sizes.restarts + 2 {
		due := int64(sizes.events) * int64(i+1) / int64(2*sizes.restarts+3)
		for r.written.Load() < due {
			<-time.After(10 * time.Millisecond)
		}
		switch {
		case i%2 == 0:
			pick(rng, r.servers).replace(syscall.SIGKILL)
			kills++
		case i%4 == 1:
			r.restartDatabase(false)
			restarts++
		default:
			r.restartDatabase(true)
			crashes++
		}
		if i == sizes.restarts {
			for _, rd := range readers {
				require.Eventually(r.t, rd.took, time.Minute, 10*time.Millisecond, "a reader gets no event of today")
			}
			r.insist("prune yesterday", func(ctx context.Context) error {
				_, err := r.store.EventLog.DropExpired(ctx, time.Now().UTC().Truncate(24*time.Hour))
				return err
			})
		}
	}
	return fmt.Sprintf("%d API kills, %d restarts and %d crashes of the database, a day pruned", kills, restarts, crashes)
}

// log is what the log holds of a workspace, but for yesterday.
func (r *torrent) log(space tenant) (places []place) {
	r.t.Helper()
	r.insist("read the log", func(ctx context.Context) error {
		rows, err := r.owner.Query(ctx, `
			select xid, id from event_log where workspace_id = $1 and type = 'chaos' order by xid, id`, space.ID)
		if err == nil {
			places, err = pgx.CollectRows(rows, pgx.RowToStructByPos[place])
		}
		return err
	})
	return places
}

// expire comes back with cursors into the day that was pruned: a list must say that it is gone, and
// a stream must begin with a reset.
func (r *torrent) expire() (resets, tries int) {
	r.t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	for _, api := range r.servers {
		require.Eventually(r.t, api.up, 30*time.Second, 50*time.Millisecond)
		for _, space := range r.spaces {
			for _, cursor := range space.expired {
				tries++
				list, first := r.comeBack(client, api, space, cursor)
				for try := 0; try < 20 && (list == 0 || list >= 500 || first == ""); try++ {
					<-time.After(50 * time.Millisecond) // the database is just back
					list, first = r.comeBack(client, api, space, cursor)
				}
				if list == http.StatusGone && first == "reset" {
					resets++
				}
			}
		}
	}
	return resets, tries
}

// comeBack asks with a cursor for the list and for the stream: the status of the one, and the first
// event of the other, empty when there was none.
func (r *torrent) comeBack(client *http.Client, api *server, space tenant, cursor string) (list int, first string) {
	list = get(client, api.url+"/events?after="+cursor, space.key)
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	s, err := openStream(ctx, client, api.url, space.key, cursor)
	if err != nil {
		return list, ""
	}
	defer s.close()
	return list, s.next().event
}

func get(client *http.Client, url, key string) int {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (r *torrent) describe(places []place, at int) string {
	var near []string
	for i := max(0, at-2); i < min(len(places), at+3); i++ {
		near = append(near, fmt.Sprint(places[i]))
	}
	return strings.Join(near, " ")
}
