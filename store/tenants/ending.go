package tenants

import (
	"context"
	"fmt"

	"millrace/store"
)

// EndThresholds are how many days before the end of a key events report it, the earliest first.
func EndThresholds() []int { return []int{14, 3, 1} }

// endsAtOnce is how many keys one transaction reports.
const endsAtOnce = 500

// NoteEndingKeys writes the events of keys that end soon, key.expiring, or have ended, key.expired: each threshold of a key once,
// and of several that have been reached the last. A threshold that lies before the key was made has none, and neither has a
// key that was revoked, ended over a week ago, or is a person's whom the OpenID provider signs in. It returns how many it
// wrote.
func (s *Store) NoteEndingKeys(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := s.noteEndingKeys(ctx)
		total += n
		if err != nil || n < endsAtOnce {
			return total, err
		}
	}
}

func (s *Store) noteEndingKeys(ctx context.Context) (n int, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		tag, err := tx.Exec(ctx, `
			with due as (
				select k.id, reached.days
				  from api_keys k join workspaces w on w.id = k.workspace_id and w.deleted_at is null,
				       lateral (select min(days) as days from unnest($1::int[] || 0) days
				                 where k.expires_at <= clock_timestamp() + make_interval(days => days)
				                   and k.created_at < k.expires_at - make_interval(days => days)) reached
				 where k.revoked_at is null and k.subject is null and k.expires_at > clock_timestamp() - interval '7 days'
				   and reached.days < coalesce(k.end_noted, 32767)
				 order by k.expires_at, k.id limit $2
				   for update of k skip locked),
			noted as (
				update api_keys k set end_noted = due.days from due where k.id = due.id
				returning k.id, k.workspace_id, k.name, k.role, k.expires_at, due.days)
			insert into event_log (workspace_id, topic, type, entity_id, payload)
			select workspace_id, 'keys', case when days = 0 then 'key.expired' else 'key.expiring' end, id::text,
			       jsonb_build_object('name', name, 'role', role, 'expires_at', to_char(expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'days', days)
			  from noted order by expires_at, id`, EndThresholds(), endsAtOnce)
		if err != nil {
			return fmt.Errorf("report keys that end: %w", err)
		}
		n = int(tag.RowsAffected())
		return nil
	})
	return n, err
}
