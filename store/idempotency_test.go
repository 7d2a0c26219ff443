package store_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store"
)

// A process that is killed between its claim and its answer leaves neither the key nor the work.
func TestAKilledSubmissionLeavesNoKey(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	sub := store.Submission{Workspace: d.space.ID, Route: "test", Key: "k"}
	effect := func(kill bool) func(context.Context, *store.Tx) (store.Response, error) {
		return func(ctx context.Context, tx *store.Tx) (store.Response, error) {
			_, err := tx.Exec(ctx, `insert into trade_events (id, workspace_id, event_type) select gen_random_uuid(), id, 'RUN_STARTED' from workspaces`)
			if err != nil {
				return store.Response{}, err
			}
			if kill {
				var pid int
				if err := tx.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
					return store.Response{}, err
				}
				if _, err := d.owner.Exec(ctx, `select pg_terminate_backend($1, 5000)`, pid); err != nil {
					return store.Response{}, err
				}
			}
			return store.Response{Status: 202, Body: []byte("{}")}, nil
		}
	}
	count := func(of string) (n int) {
		require.NoError(t, d.owner.QueryRow(ctx, `select count(*) from `+of).Scan(&n))
		return n
	}
	_, err := d.store.Submit(ctx, sub, effect(true))
	require.Error(t, err)
	require.Zero(t, count("idempotency_keys"))
	require.Zero(t, count("trade_events"))
	resp, err := d.store.Submit(ctx, sub, effect(false))
	require.NoError(t, err)
	require.False(t, resp.Replayed, "the key is free")
	require.Equal(t, 1, count("idempotency_keys where status is not null"))
	require.Equal(t, 1, count("trade_events"))
}
