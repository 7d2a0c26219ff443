package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

// Entries of many transactions at once form one chain without a gap, and what rolls back is not in it.
func TestConcurrentEntriesFormOneChain(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	st := stores.New(db.Pool(t), nil)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "a", 1)
	require.NoError(t, err)
	const writers, each = 8, 10
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for i := range each {
				ctx := store.WithAudit(t.Context(), store.NewAudit(space.ID, store.AuditEntry{Route: "test"}))
				err := st.InWorkspace(ctx, space.ID, func(tx *store.Tx) error {
					if err := store.AppendEvent(ctx, tx, space.ID, "backtests", "test", "x", nil); err != nil {
						return err
					}
					if i%5 == 4 {
						return fmt.Errorf("refused: %w", store.ErrConflict)
					}
					return nil
				})
				if (err != nil) != (i%5 == 4) {
					t.Error(err)
				}
				// What only reads leaves nothing.
				if err := st.InWorkspace(ctx, space.ID, func(tx *store.Tx) error { return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	lines, err := st.AuditPage(t.Context(), space.ID, 0, false, 1000)
	require.NoError(t, err)
	require.Len(t, lines, writers*each*4/5)
	var hash []byte
	for i, line := range lines {
		require.EqualValues(t, i+1, line.Seq)
		sum := sha256.Sum256(append(hash, line.Entry...))
		require.Equal(t, sum[:], line.Hash)
		hash = sum[:]
	}
	base, head, unsealed, err := st.AuditEnds(t.Context(), space.ID)
	require.NoError(t, err)
	require.Zero(t, unsealed)
	require.Equal(t, store.AuditPlace{Hash: []byte{}}, base)
	require.Equal(t, store.AuditPlace{Seq: int64(len(lines)), Hash: hash}, head)
}

// A transaction whose entry is written does not hold up another of its workspace. An entry is read once it is committed,
// and one that was changed before it was sealed shows.
func TestEntriesWaitForNoOther(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	st, owner := stores.New(db.Pool(t), nil), db.OwnerPool(t)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "a", 1)
	require.NoError(t, err)
	write := func(ctx context.Context, within func()) error {
		ctx = store.WithAudit(ctx, store.NewAudit(space.ID, store.AuditEntry{Route: "test"}))
		return st.InWorkspace(ctx, space.ID, func(tx *store.Tx) error {
			if err := store.AppendEvent(ctx, tx, space.ID, "backtests", "test", "x", nil); err != nil {
				return err
			}
			if within == nil {
				return nil
			}
			if _, err := tx.Exec(ctx, `select audit_append($1, '{"route": "early"}')`, space.ID); err != nil {
				return err
			}
			within()
			return nil
		})
	}
	entries := func() (all []string) {
		lines, err := st.AuditPage(t.Context(), space.ID, 0, false, 10)
		require.NoError(t, err)
		for _, line := range lines {
			var entry struct {
				Route   string
				Altered bool
			}
			require.NoError(t, json.Unmarshal(line.Entry, &entry))
			if entry.Altered {
				entry.Route += ", altered"
			}
			all = append(all, entry.Route)
		}
		return all
	}
	require.NoError(t, write(t.Context(), func() {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.NoError(t, write(ctx, nil), "another transaction of the workspace waits for one that is open")
		require.Equal(t, []string{"test"}, entries())
		require.NoError(t, write(ctx, nil))
		require.NoError(t, st.SealAudit(ctx))
		require.Equal(t, []string{"test", "test"}, entries())
	}))
	_, err = owner.Exec(t.Context(), `update audit_unsealed set entry = '{"route": "other"}' where entry::jsonb ->> 'route' = 'early'`)
	require.NoError(t, err)
	require.Equal(t, []string{"test", "test", "other, altered", "test"}, entries())
}

// However much has gathered in however many chains, one transaction seals so many entries in all: the oldest chain's first.
func TestABacklogOfTheAuditLogIsSealedInShortTransactions(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	st, owner := stores.New(db.Pool(t), nil), db.OwnerPool(t)
	ctx := t.Context()
	spaces := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	_, err := owner.Exec(ctx, `
		insert into audit_unsealed (workspace_id, entry, hash)
		select s, e, sha256(uuid_send(s) || convert_to(e, 'UTF8')) from unnest($1::uuid[]) with ordinality u (s, at), (values ('{"route": "test"}')) v (e), generate_series(1, 1500)
		 order by at`, spaces)
	require.NoError(t, err)
	counts := func() (sealed []int) {
		t.Helper()
		for _, space := range spaces {
			var n int
			require.NoError(t, owner.QueryRow(ctx, `select count(*) from audit_log where workspace_id = $1`, space).Scan(&n))
			sealed = append(sealed, n)
		}
		return sealed
	}
	var sealed int
	require.NoError(t, st.InFleet(ctx, func(tx *store.Tx) error { return tx.QueryRow(ctx, `select audit_seal(null, 1600)`).Scan(&sealed) }))
	require.Equal(t, 1600, sealed)
	require.Equal(t, []int{1500, 100, 0}, counts())
	require.NoError(t, st.SealAudit(ctx))
	require.Equal(t, []int{1500, 1500, 1500}, counts())
}

// What the application acts as can add to the audit log by its function, and change or delete nothing of it.
func TestTheApplicationCannotChangeTheAuditLog(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := db.OwnerPool(t)
	for _, role := range []string{store.AppRole, store.WorkspaceRole, store.FleetRole, "millrace_tenant"} {
		for _, table := range []string{"audit_log", "audit_heads", "audit_unsealed"} {
			for _, right := range []string{"insert", "update", "delete", "truncate", "references", "trigger"} {
				var has bool
				require.NoError(t, owner.QueryRow(t.Context(), `select has_table_privilege($1, $2, $3)`, role, table, right).Scan(&has))
				require.False(t, has, "%s may %s %s", role, right, table)
			}
		}
		var member bool
		require.NoError(t, owner.QueryRow(t.Context(), `select pg_has_role($1, 'millrace_audit', 'member')`, role).Scan(&member))
		require.False(t, member, "%s may act as the audit log's own role", role)
	}
	st := stores.New(db.Pool(t), nil)
	for name, statement := range map[string]string{
		"another's chain":     `select audit_append('` + uuid.NewString() + `', '{}')`,
		"the server's chain":  `select audit_append('` + uuid.Nil.String() + `', '{}')`,
		"an entry by itself":  `insert into audit_log values (millrace_workspace(), 1, '{}', '')`,
		"an entry of another": `insert into audit_unsealed (workspace_id, entry, hash) values ('` + uuid.NewString() + `', '{"route": "x"}', '')`,
		"an entry's time":     `insert into audit_unsealed (workspace_id, entry, hash, at) values (millrace_workspace(), '{"route": "x"}', '', now())`,
		"an entry's place":    `insert into audit_unsealed (workspace_id, id, entry, hash) overriding system value values (millrace_workspace(), 1, '{"route": "x"}', '')`,
		"an entry again":      `insert into audit_unsealed (workspace_id, entry, hash) values (millrace_workspace(), '{"route": "x"}', '') on conflict (workspace_id, id) do update set entry = '{"route": "y"}'`,
		"an unsealed entry":   `update audit_unsealed set entry = '{"route": "x"}'`,
		"what does not end":   `insert into audit_unsealed (workspace_id, entry, hash) values (millrace_workspace(), '{"route": "x"} ', '')`,
		"a list":              `insert into audit_unsealed (workspace_id, entry, hash) values (millrace_workspace(), '[1]', '')`,
		"nothing":             `insert into audit_unsealed (workspace_id, entry, hash) values (millrace_workspace(), '{}', '')`,
		"what is unsealed":    `delete from audit_unsealed`,
		"another's sealing":   `select audit_seal('` + uuid.NewString() + `', 1)`,
		"everybody's sealing": `select audit_seal(null, 1)`,
		"a chain that begins": `delete from audit_heads`,
	} {
		space, err := st.Tenants.CreateWorkspace(t.Context(), name, 1)
		require.NoError(t, err)
		err = st.InWorkspace(t.Context(), space.ID, func(tx *store.Tx) error {
			if err := store.AppendEvent(t.Context(), tx, space.ID, "backtests", "test", "x", nil); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), statement)
			return err
		})
		require.Equal(t, "42501", store.SQLState(err), "%s: %v", name, err)
	}
}
