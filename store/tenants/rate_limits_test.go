package tenants_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// Wherever a window begins, it holds no more than the limit, however many ask at once; and what
// has left the window comes back.
func TestNoWindowHoldsMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rate := tenants.Rate{Most: 20, Window: 600 * time.Millisecond}
	type span struct{ before, after time.Time }
	var mu sync.Mutex
	var admitted []span
	var clients sync.WaitGroup
	for range 4 { // processes
		st := stores.New(db.Pool(t), nil)
		for range 4 {
			clients.Go(func() {
				for {
					before := time.Now()
					quota, err := st.Tenants.Take(t.Context(), "somebody", rate)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if quota.Admitted {
						admitted = append(admitted, span{before, time.Now()})
					}
					enough := len(admitted) >= 4*rate.Most
					mu.Unlock()
					if enough {
						return
					}
				}
			})
		}
	}
	clients.Wait()
	require.GreaterOrEqual(t, len(admitted), 4*rate.Most)
	for _, first := range admitted {
		within := 0
		for _, other := range admitted {
			if !other.before.Before(first.before) && other.after.Before(first.before.Add(rate.Window)) {
				within++
			}
		}
		require.LessOrEqual(t, within, rate.Most)
	}
}

func TestAQuotaSaysWhatIsLeftAndForHowLong(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	st := stores.New(db.Pool(t), nil)
	rate := tenants.Rate{Most: 3, Window: time.Minute}
	for left := 2; left >= 0; left-- {
		quota, err := st.Tenants.Take(t.Context(), "a", rate)
		require.NoError(t, err)
		require.True(t, quota.Admitted)
		require.Equal(t, left, quota.Remaining)
	}
	for range 3 {
		quota, err := st.Tenants.Take(t.Context(), "a", rate)
		require.NoError(t, err)
		require.False(t, quota.Admitted)
		require.Zero(t, quota.Remaining)
		require.InDelta(t, time.Minute, quota.Wait, float64(2*time.Second))
	}
	other, err := st.Tenants.Take(t.Context(), "b", rate)
	require.NoError(t, err)
	require.True(t, other.Admitted, "a caller pays for another")
	lower, err := st.Tenants.Take(t.Context(), "b", tenants.Rate{Most: 0, Window: time.Minute})
	require.NoError(t, err)
	require.False(t, lower.Admitted)

	owner := db.OwnerPool(t)
	var counted int
	require.NoError(t, owner.QueryRow(t.Context(), `select sum(n) from rate_limits, unnest(counts) n where key = 'a'`).Scan(&counted))
	require.Equal(t, rate.Most, counted, "what was refused counts")
	_, err = owner.Exec(t.Context(), `update rate_limits set head = head - 61, idle_at = now() where key = 'a'`)
	require.NoError(t, err)
	require.NoError(t, st.Tenants.ForgetRates(t.Context()))
	var keys []string
	require.NoError(t, owner.QueryRow(t.Context(), `select array_agg(key) from rate_limits`).Scan(&keys))
	require.Equal(t, []string{"b"}, keys)
}

// A unit comes back when its slice has left the window, not before and not long after.
func TestAUnitComesBackWhenItsSliceLeaves(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	st := stores.New(db.Pool(t), nil)
	owner := db.OwnerPool(t)
	rate := tenants.Rate{Most: 1, Window: time.Hour}
	for _, test := range []struct {
		slicesAgo int
		admitted  bool
	}{{1, false}, {59, false}, {62, true}, {500, true}, {-5, false}} {
		key := fmt.Sprint(test.slicesAgo)
		first, err := st.Tenants.Take(t.Context(), key, rate)
		require.NoError(t, err)
		require.True(t, first.Admitted)
		_, err = owner.Exec(t.Context(), `update rate_limits set head = head - $2 where key = $1`, key, test.slicesAgo)
		require.NoError(t, err)
		second, err := st.Tenants.Take(t.Context(), key, rate)
		require.NoError(t, err)
		require.Equal(t, test.admitted, second.Admitted, "%d slices ago", test.slicesAgo)
	}
}

func BenchmarkTake(b *testing.B) {
	db := pgtest.New(b)
	for _, over := range []bool{false, true} {
		b.Run(fmt.Sprintf("over=%v", over), func(b *testing.B) {
			st := stores.New(db.Pool(b), nil)
			rate := tenants.Rate{Most: 1 << 30, Window: time.Minute}
			if over {
				rate.Most = 1
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := st.Tenants.Take(b.Context(), fmt.Sprint(over), rate); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
