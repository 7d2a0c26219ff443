package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// machine is a network namespace with a cable to ours, as a host of its own has one.
type machine struct {
	t                *testing.T
	name, here       string // the namespace, and our end of the cable
	ours, theirs     string // addresses
	ourMAC, theirMAC string
}

// nobody is an address that no card has: what is sent to it arrives and is dropped.
const nobody = "02:00:00:00:00:01"

// newMachine makes one; only root may.
func newMachine(t *testing.T, n int) *machine {
	t.Helper()
	requireRoot(t)
	id := fmt.Sprintf("%d%c", os.Getpid()%100_000, 'a'+n)
	m := &machine{
		t: t, name: "mr" + id, here: "mrh" + id,
		ours: fmt.Sprintf("10.213.%d.1", 16*(os.Getpid()%15)+n), theirs: fmt.Sprintf("10.213.%d.2", 16*(os.Getpid()%15)+n),
	}
	there := "mrn" + id
	m.ip("netns", "add", m.name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", m.name).Run() })
	m.ip("link", "add", m.here, "type", "veth", "peer", "name", there)
	m.ip("link", "set", there, "netns", m.name, "name", "eth0")
	m.ip("addr", "add", m.ours+"/24", "dev", m.here)
	m.ip("link", "set", m.here, "up")
	m.ip("-n", m.name, "addr", "add", m.theirs+"/24", "dev", "eth0")
	m.ip("-n", m.name, "link", "set", "eth0", "up")
	m.ip("-n", m.name, "link", "set", "lo", "up")
	m.ourMAC, m.theirMAC = m.mac("link", "show", m.here), m.mac("-n", m.name, "link", "show", "eth0")
	m.connect()
	return m
}

func (m *machine) ip(args ...string) string {
	m.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(m.t, err, "ip %s: %s", strings.Join(args, " "), out)
	return string(out)
}

func (m *machine) mac(args ...string) string {
	m.t.Helper()
	fields := strings.Fields(m.ip(args...))
	for i, f := range fields {
		if f == "link/ether" {
			return fields[i+1]
		}
	}
	m.t.Fatalf("no MAC address in %v", fields)
	return ""
}

// partition drops every packet in both directions: neither side learns anything.
func (m *machine) partition() { m.route(nobody, nobody) }

// connect undoes it.
func (m *machine) connect() { m.route(m.theirMAC, m.ourMAC) }

func (m *machine) route(theirs, ours string) {
	m.ip("neigh", "replace", m.theirs, "lladdr", theirs, "nud", "permanent", "dev", m.here)
	m.ip("-n", m.name, "neigh", "replace", m.ours, "lladdr", ours, "nud", "permanent", "dev", "eth0")
}

// command is a program on the machine.
func (m *machine) command(name string, args ...string) []string {
	return append([]string{"netns", "exec", m.name, name}, args...)
}

// withListeners has the database listen on our ends of the machines' cables.
func withListeners(machines []*machine) func(*deployment) {
	return func(s *deployment) {
		addresses := []string{"127.0.0.1"}
		for _, m := range machines {
			addresses = append(addresses, m.ours)
		}
		s.listen = strings.Join(addresses, ",")
	}
}

// admit lets the machines log in to the database.
func (s *deployment) admit() {
	s.t.Helper()
	var rules string
	require.NoError(s.t, s.owner.QueryRow(s.t.Context(), `show hba_file`).Scan(&rules))
	file, err := os.OpenFile(rules, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(s.t, err)
	_, err = file.WriteString("host all all 10.213.0.0/16 scram-sha-256\n")
	require.NoError(s.t, err)
	require.NoError(s.t, file.Close())
	require.Equal(s.t, 1, s.count(`select count(*) from pg_reload_conf() done where done`))
}

// waits lists the sessions that hold what others wait for.
func (f *field) waits() []string {
	f.t.Helper()
	rows, err := f.owner.Query(f.t.Context(), `
		select format('%s waits for %s, %s %s: %s', left(regexp_replace(w.query, '\s+', ' ', 'g'), 60), b.application_name, b.state,
		              b.wait_event, left(regexp_replace(b.query, '\s+', ' ', 'g'), 90))
		  from pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) p join pg_stat_activity b on b.pid = p
		 where w.wait_event_type = 'Lock' and w.datname = current_database()
		union all
		select format('idle for %s: %s', date_trunc('milliseconds', clock_timestamp() - state_change), left(regexp_replace(query, '\s+', ' ', 'g'), 90))
		  from pg_stat_activity where state like 'idle in transaction%' and clock_timestamp() - state_change > interval '200 ms'`)
	require.NoError(f.t, err)
	waits, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(f.t, err)
	return waits
}
