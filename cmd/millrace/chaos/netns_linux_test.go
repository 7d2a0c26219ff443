package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

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
