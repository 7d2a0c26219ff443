package tenants

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"millrace/store"
)

// uses notes that keys were used. Those that come while others are noted are noted together afterwards, in one
// transaction: many workspaces that begin at once do not take a commit each. It is safe for concurrent use.
type uses struct {
	db *store.DB

	running sync.Mutex // held while keys are noted
	mu      sync.Mutex
	next    *noting // nil: nobody waits
}

// noting is keys that are noted together.
type noting struct {
	keys []uuid.UUID
	done bool
	err  error
}

// note returns when the key's use is noted. Whether another of its uses was noted within the minute is looked at again: the
// first that comes notes it, and the others do not wait for its row.
func (u *uses) note(ctx context.Context, key uuid.UUID) error {
	u.mu.Lock()
	if u.next == nil {
		u.next = &noting{}
	}
	with := u.next
	with.keys = append(with.keys, key)
	u.mu.Unlock()
	u.running.Lock()
	defer u.running.Unlock()
	if !with.done {
		u.mu.Lock()
		u.next = nil // those that come from now on wait for the next
		u.mu.Unlock()
		with.err, with.done = u.write(ctx, with.keys), true
	}
	return with.err
}

// write notes keys. The request of one of them that is cut off does not end it for the others.
func (u *uses) write(ctx context.Context, keys []uuid.UUID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), store.AnswerWithin)
	defer cancel()
	var noted int
	err := u.db.FleetRow(ctx, `
		with noted as (
			update api_keys set last_used_at = now()
			 where id in (select k.id from api_keys k where k.id = any ($1) and `+noteDue+` for update of k skip locked)
			returning id)
		select count(*) from noted`, []any{keys}, &noted)
	if err != nil {
		return fmt.Errorf("note the use of %d keys: %w", len(keys), err)
	}
	return nil
}
