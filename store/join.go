package store

import (
	"errors"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// errNotJoined says that a submission which was to join a queue has to begin again, as any other: see join_submission in
// migrations/sql.
var errNotJoined = errors.New("the submission does not only join the queue")

// mayJoin reports whether the submission can begin with join_submission: work of a built-in strategy, over one dataset that
// is named, and not by a version.
func (b *beginning) mayJoin() bool {
	return b.entry.tune && !b.sub.inFleet() && b.named != nil && b.named.Script == nil && b.named.Intrabar == "" && len(b.named.Datasets) == 1 &&
		len(b.named.Names) == 1 && b.named.Names[0].Text != "" && b.named.Names[0].Series == ""
}

// queueJoin is queue of a submission to a workspace whose cap was taken a moment ago.
func (b *beginning) queueJoin(batch *pgx.Batch, wait int64) {
	name, e := b.named.Names[0], b.entry
	batch.Queue(`select * from join_submission($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		b.sub.Workspace, b.sub.Route, b.sub.Key, wait, e.depth, b.named.Datasets[0], name.Text, name.Series, name.Version).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&b.joined, &e.Room, &e.Active, &e.At, &e.open)
		b.claimed, e.found, e.shared, e.sure, e.most = b.joined, true, true, true, e.depth
		return err
	})
}

// waits reports whether a tune was found to have to wait for another to end, by a transaction that entered with others.
func (e *entry) waits() bool { return e.tune && e.shared && e.Room <= 0 }

// takenSpaces are workspaces whose cap was taken when something was submitted to them last. It is a guess: a submission
// that is begun by it looks whether it still holds. It is safe for concurrent use.
type takenSpaces struct {
	mu sync.Mutex
	is map[uuid.UUID]struct{}
}

// mostTaken is how many of them are kept; beyond it all are forgotten, which costs each a statement.
const mostTaken = 10_000

func (t *takenSpaces) has(space uuid.UUID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.is[space]
	return ok
}

func (t *takenSpaces) note(space uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.is == nil || len(t.is) >= mostTaken {
		t.is = map[uuid.UUID]struct{}{}
	}
	t.is[space] = struct{}{}
}

func (t *takenSpaces) forget(space uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.is, space)
}
