package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
)

// The server ends a change whose process froze with the lock of what it changes, and the change is made all the same.
func TestAChangeThatTheServerEndedIsMadeAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("tune")
	rename := func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `update tunes set error = 'changed' where id = $1`, tune.ID)
		return err
	}
	calls := 0
	err := d.Store.Change(ctx, d.Space.ID, func(tx *store.Tx) error {
		if err := store.Lock(ctx, tx, tune.ID); err != nil {
			return err
		}
		if calls++; calls == 1 {
			var pid int
			if err := tx.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
				return err
			}
			require.Eventually(t, func() bool {
				return d.Count(`select count(*) from pg_stat_activity where pid = $1`, pid) == 0
			}, 20*time.Second, 10*time.Millisecond, "the frozen session is not ended")
		}
		return rename(tx)
	})
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	require.Equal(t, 1, d.Count(`select count(*) from tunes where error = 'changed'`))

	// It is not tried without end, and what is refused is refused at once.
	refused := errors.New("refused")
	for _, c := range []struct {
		state string
		calls int
	}{{"40P01", 3}, {"40001", 3}, {"25P03", 3}, {"23505", 1}, {"57014", 1}, {"", 1}} {
		calls = 0
		err = d.Store.Change(ctx, d.Space.ID, func(tx *store.Tx) error {
			if calls++; c.state == "" {
				return refused
			}
			_, err := tx.Exec(ctx, `do $$ begin raise exception using errcode = '`+c.state+`'; end $$`)
			return err
		})
		require.Error(t, err)
		require.Equal(t, c.state, store.SQLState(err))
		require.Equal(t, c.calls, calls, c.state)
	}
}
