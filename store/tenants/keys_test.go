package tenants_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// That a key was used is noted once a minute, however often and however concurrently it is.
func TestTheUseOfAKeyIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	st, owner := stores.New(db.Pool(t), nil), db.OwnerPool(t)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "a", 1)
	require.NoError(t, err)
	secret, err := st.Tenants.CreateKey(t.Context(), space.ID, "k", tenants.RoleViewer)
	require.NoError(t, err)
	version := func() (version string, used bool) {
		require.NoError(t, owner.QueryRow(t.Context(), `select xmin::text, last_used_at is not null from api_keys`).Scan(&version, &used))
		return version, used
	}
	_, used := version()
	require.False(t, used)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 10 {
				if _, err := st.Tenants.KeyBySecret(t.Context(), secret); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	first, used := version()
	require.True(t, used)
	_, err = st.Tenants.KeyBySecret(t.Context(), secret)
	require.NoError(t, err)
	again, _ := version()
	require.Equal(t, first, again, "a request wrote to the key")
	_, err = owner.Exec(t.Context(), `update api_keys set last_used_at = now() - interval '2 minutes'`)
	require.NoError(t, err)
	_, err = st.Tenants.KeyBySecret(t.Context(), secret)
	require.NoError(t, err)
	var fresh bool
	require.NoError(t, owner.QueryRow(t.Context(), `select last_used_at > now() - interval '1 minute' from api_keys`).Scan(&fresh))
	require.True(t, fresh)
}

func BenchmarkKeyBySecret(b *testing.B) {
	db := pgtest.New(b)
	st := stores.New(db.Pool(b), nil)
	space, err := st.Tenants.CreateWorkspace(b.Context(), "a", 1)
	require.NoError(b, err)
	secret, err := st.Tenants.CreateKey(b.Context(), space.ID, "k", tenants.RoleViewer)
	require.NoError(b, err)
	for b.Loop() {
		if _, err := st.Tenants.KeyBySecret(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}
