package tenants_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
	"millrace/store/stores"
)

// Each threshold before the end of a key, and the end itself, is one event in the workspace's feed, however many look at once
// and however often. What nobody can use, or ended before anybody looked for it, is not reported.
func TestTheEndOfAKeyIsReportedOnceAtEachThreshold(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	st, owner := stores.New(db.Pool(t), nil), db.OwnerPool(t)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "a", 1)
	require.NoError(t, err)
	gone, err := st.Tenants.CreateWorkspace(t.Context(), "gone", 1)
	require.NoError(t, err)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := owner.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	key := func(name string, workspace uuid.UUID, age, left string) {
		t.Helper()
		exec(`insert into api_keys (id, workspace_id, name, role, key_sha256, created_at, expires_at)
			values (gen_random_uuid(), $1, $2, 'member', sha256(convert_to($2, 'UTF8')), now() - $3::interval, now() + $4::interval)`, workspace, name, age, left)
	}
	key("long", space.ID, "90 days", "15 days")
	key("of a day", space.ID, "1 hour", "23 hours")
	key("ended long ago", space.ID, "90 days", "-8 days")
	key("revoked", space.ID, "90 days", "2 days")
	exec(`update api_keys set revoked_at = now() where name = 'revoked'`)
	key("a person's", space.ID, "90 days", "2 days")
	exec(`update api_keys set subject = 'issuer person' where name = 'a person''s'`)
	key("of a deleted workspace", gone.ID, "90 days", "2 days")
	exec(`update workspaces set deleted_at = now() where id = $1`, gone.ID)
	exec(`insert into api_keys (id, workspace_id, name, role, key_sha256) values (gen_random_uuid(), $1, 'for good', 'member', sha256('g'))`, space.ID)

	var seen int
	came := func() (events []string) {
		t.Helper()
		var lookers sync.WaitGroup
		for range 4 {
			lookers.Go(func() {
				if _, err := st.Tenants.NoteEndingKeys(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		lookers.Wait()
		rows, err := owner.Query(t.Context(), `
			select e.type || ' ' || (e.payload ->> 'name') || ' ' || (e.payload ->> 'days') from event_log e join api_keys k on k.id::text = e.entity_id
			   and k.workspace_id = e.workspace_id and k.expires_at = (e.payload ->> 'expires_at')::timestamptz and k.role = e.payload ->> 'role'
			 where e.topic = 'keys' order by e.id offset $1`, seen)
		require.NoError(t, err)
		events, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		seen += len(events)
		return events
	}
	later := func(days string) {
		exec(`update event_log set payload = jsonb_set(payload, '{expires_at}', to_jsonb((payload ->> 'expires_at')::timestamptz - $1::interval)) where topic = 'keys'`, days)
		exec(`update api_keys set expires_at = expires_at - $1::interval, created_at = created_at - $1::interval`, days)
	}
	require.Empty(t, came(), "nothing ends within 14 days that lasted longer")
	later("25 hours")
	require.ElementsMatch(t, []string{"key.expired of a day 0", "key.expiring long 14"}, came(), "of two keys that two lookers may have reported")
	require.Empty(t, came(), "a threshold is reported again")
	later("11 days")
	require.Equal(t, []string{"key.expiring long 3"}, came())
	later("36 hours")
	require.Empty(t, came())
	later("24 hours")
	require.Equal(t, []string{"key.expiring long 1"}, came())
	later("1 day")
	require.Equal(t, []string{"key.expired long 0"}, came())
	later("1 day")
	require.Empty(t, came())
}
