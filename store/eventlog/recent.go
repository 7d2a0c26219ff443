package eventlog

import (
	"context"
	"fmt"
	"slices"

	"millrace/store"

	"github.com/google/uuid"
)

// Recent reads the workspace's newest readable events, newest first.
func (s *Store) Recent(ctx context.Context, workspace uuid.UUID, topics []string, limit int) ([]Event, error) {
	var events []Event
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		bound, err := readBound(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select xid, id, at, workspace_id, topic, type, entity_id, job_ids, payload
			  from (select * from event_log
			         where workspace_id = $1 and (xid, id) < ($4, $5) and (cardinality($2::text[]) = 0 or topic = any ($2))
			         order by xid desc, id desc limit $3) newest
			 order by xid, id`, workspace, append([]string{}, topics...), limit, bound.xid, bound.id)
		if err != nil {
			return fmt.Errorf("read recent events: %w", err)
		}
		if events, _, err = collectEvents(rows, nil, Cursor{}, limit*rowStep); err != nil {
			return fmt.Errorf("read recent events: %w", err)
		}
		return nil
	})
	slices.Reverse(events)
	return events[:min(limit, len(events))], err
}
