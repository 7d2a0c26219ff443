package upkeep_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/upkeep"
)

// appendAudit adds n entries of a time to a chain, hashed as audit_append does it.
func appendAudit(d *storetest.Fixture, space uuid.UUID, n int, at time.Time) {
	d.T.Helper()
	d.Exec(`insert into audit_heads values ($1, 0, '') on conflict do nothing`, space)
	var seq int64
	var hash []byte
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `select seq, hash from audit_heads where workspace_id = $1`, space).Scan(&seq, &hash))
	entries, hashes := make([]string, n), make([][]byte, n)
	for i := range n {
		entries[i] = fmt.Sprintf(`{"seq": %d, "at": %q, "route": "POST /backtests/tune"}`, seq+int64(i)+1, at.UTC().Format("2006-01-02T15:04:05.000000Z"))
		sum := sha256.Sum256(append(hash, entries[i]...))
		hash = sum[:]
		hashes[i] = hash
	}
	d.Exec(`
		insert into audit_log (workspace_id, seq, entry, hash)
		select $1, $2 + n, e, h from unnest($3::text[], $4::bytea[]) with ordinality u (e, h, n)`, space, seq, entries, hashes)
	d.Exec(`update audit_heads set seq = $2, hash = $3 where workspace_id = $1`, space, seq+int64(n), hash)
}

func daysAgo(days int) time.Time { return time.Now().Add(-time.Duration(days) * 24 * time.Hour) }

// What is kept of a chain is verified from the hash of the last entry that left, and continues with what is added.
func TestAnAuditLogThatLostItsBeginningIsVerifiedFromThere(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	for _, part := range []struct{ entries, days int }{{700, 1200}, {500, 1100}, {30, 1000}, {20, 1}} {
		appendAudit(d, d.Space.ID, part.entries, daysAgo(part.days))
	}
	appendAudit(d, uuid.Nil, 40, daysAgo(2000))

	require.EqualValues(t, 1240, prune(d, "audit_log", true).Deleted)
	require.Equal(t, 1290, d.Count(`select count(*) from audit_log`), "a dry run deletes nothing")
	require.EqualValues(t, 1240, prune(d, "audit_log", false).Deleted)
	require.Zero(t, prune(d, "audit_log", false).Deleted)

	verify := func(space uuid.UUID, first, last int64) {
		t.Helper()
		base, head, _, err := d.Store.DB.AuditEnds(ctx, space)
		require.NoError(t, err)
		require.Equal(t, first-1, base.Seq)
		lines, err := d.Store.DB.AuditPage(ctx, space, base.Seq, false, 1000)
		require.NoError(t, err)
		require.Len(t, lines, int(last-first+1))
		at, hash := base.Seq, base.Hash
		for _, line := range lines {
			sum := sha256.Sum256(append(hash, line.Entry...))
			require.Equal(t, sum[:], line.Hash, "entry %d", line.Seq)
			at, hash = at+1, sum[:]
			require.Equal(t, at, line.Seq)
		}
		require.Equal(t, store.AuditPlace{Seq: last, Hash: hash}, head)
	}
	verify(d.Space.ID, 1201, 1250)
	verify(uuid.Nil, 41, 40)
	entry, err := json.Marshal(store.AuditEntry{Route: "later"})
	require.NoError(t, err)
	require.NoError(t, d.Store.DB.InFleet(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `select audit_append($1, $2) where pg_current_xact_id() is not null`, uuid.Nil, entry)
		return err
	}))
	verify(uuid.Nil, 41, 41)
}

// Nothing that the servers may call takes away what was done in the last 90 days.
func TestNobodyErasesTheAuditLogOfTheLast90Days(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	appendAudit(d, d.Space.ID, 10, daysAgo(91))
	appendAudit(d, d.Space.ID, 10, daysAgo(89))
	none := time.Duration(0)
	pruned, err := d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "audit_log", Age: &none, BatchSize: 500, Source: "sql"})
	require.NoError(t, err)
	require.EqualValues(t, 10, pruned.Deleted)
	require.Equal(t, 10, d.Count(`select count(*) from audit_log`))
	err = d.Store.DB.InWorkspace(t.Context(), d.Space.ID, func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `select audit_forget(now(), 100, false)`)
		return err
	})
	require.Equal(t, "42501", store.SQLState(err), "a workspace may not: %v", err)
}
