package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/riverqueue/river"
)

// The queues. A worker process chooses which to work and with how many slots.
const (
	QueueTunes       = "tunes"       // plan and collect: short
	QueueTrials      = "trials"      // shards: about a second of one core each
	QueueWFO         = "wfo"         // walk-forward orchestration: short
	QueueIngestion   = "ingestion"   // documents
	QueueRetention   = "retention"   // pruning
	QueueMaintenance = "maintenance" // partitions and other upkeep
	QueueWebhooks    = "webhooks"    // deliveries to receivers, which may take seconds to answer
)

// River works jobs of a lower number first. What a workspace with nothing running begins goes ahead of
// what others have queued, so that it does not wait behind the queue of a huge neighbour; everything
// else takes its share.
const (
	PriorityFirst = 1
	PriorityShare = 2
)

// maxAttempts bounds how often a job that errors, or whose worker dies, is run again.
const maxAttempts = 8

// Slots is how many jobs of each queue one process works at once.
type Slots map[string]int

// Ahead is how many jobs of a queue a process with so many slots holds beyond them. A shard is fetched
// while others compute and computes while others are saved, so that no core waits for the database.
func Ahead(queue string, slots int) int {
	if queue == QueueTrials {
		return 1 + slots/4
	}
	return 0
}

// Window is how many shards of one workspace may be in the queue or running while the fleet has so many
// trial slots: one for each, about as many as processes hold ahead of them (see Ahead), and one more, so
// that a slot never waits for the next insert.
func Window(slots int) int {
	slots = max(slots, 1)
	return slots + 1 + (slots+3)/4
}

// DefaultSlots works every queue, with one trial slot for each core.
func DefaultSlots(cores int) Slots {
	return Slots{QueueTunes: 2, QueueTrials: cores, QueueWFO: 1, QueueIngestion: 2, QueueRetention: 1, QueueMaintenance: 1, QueueWebhooks: 4}
}

// Queues are the names of all queues, in order.
func Queues() []string { return slices.Sorted(maps.Keys(DefaultSlots(1))) }

// ParseSlots reads "trials:8,tunes:2".
func ParseSlots(text string) (Slots, error) {
	known := []string{QueueTunes, QueueTrials, QueueWFO, QueueIngestion, QueueRetention, QueueMaintenance, QueueWebhooks}
	slots := Slots{}
	for part := range strings.SplitSeq(text, ",") {
		name, count, ok := strings.Cut(strings.TrimSpace(part), ":")
		n, err := strconv.Atoi(count)
		switch {
		case !ok || err != nil:
			return nil, fmt.Errorf("queue %q: want NAME:SLOTS, as in trials:8", part)
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("queue %q is unknown; the queues are %s", name, strings.Join(known, ", "))
		case n < 1 || n > river.QueueNumWorkersMax:
			return nil, fmt.Errorf("queue %s: slots must be from 1 to %d", name, river.QueueNumWorkersMax)
		case slots[name] != 0:
			return nil, fmt.Errorf("queue %s is named twice", name)
		}
		slots[name] = n
	}
	return slots, nil
}

// String is the form that ParseSlots reads, in order of name.
func (s Slots) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		parts = append(parts, name+":"+strconv.Itoa(s[name]))
	}
	return strings.Join(parts, ",")
}
