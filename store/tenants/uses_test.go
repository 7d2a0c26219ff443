package tenants

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
)

func TestKeysThatAreUsedAtOnceAreNotedInOneTransaction(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tenants, owner := New(store.New(db.Pool(t), nil)), db.OwnerPool(t)
	space, err := tenants.CreateWorkspace(t.Context(), "a", 1)
	require.NoError(t, err)
	const many = 20
	var keys []uuid.UUID
	for i := range many {
		var id uuid.UUID
		require.NoError(t, owner.QueryRow(t.Context(), `
			insert into api_keys (id, workspace_id, name, role, key_sha256) values (gen_random_uuid(), $1, 'k', 'viewer', sha256($2)) returning id`,
			space.ID, fmt.Append(nil, i)).Scan(&id))
		keys = append(keys, id)
	}
	tenants.uses.running.Lock() // as of one that is noted now
	gone, leave := context.WithCancel(t.Context())
	leave()
	var noted sync.WaitGroup
	for i, key := range keys {
		ctx := t.Context()
		if i == 0 {
			ctx = gone
		}
		noted.Go(func() {
			assert.NoError(t, tenants.uses.note(ctx, key), "a request that was cut off ends it for others")
		})
	}
	require.Eventually(t, func() bool {
		tenants.uses.mu.Lock()
		defer tenants.uses.mu.Unlock()
		return tenants.uses.next != nil && len(tenants.uses.next.keys) == many
	}, 30*time.Second, time.Millisecond)
	tenants.uses.running.Unlock()
	noted.Wait()
	var used, transactions int
	require.NoError(t, owner.QueryRow(t.Context(), `select count(last_used_at), count(distinct xmin::text) from api_keys`).Scan(&used, &transactions))
	require.Equal(t, many, used)
	require.Equal(t, 1, transactions)
	require.NoError(t, tenants.uses.note(t.Context(), keys[0]), "it is noted already")
	require.Nil(t, tenants.uses.next)
}
