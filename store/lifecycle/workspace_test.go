package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/storetest"
	"millrace/store/tenants"
)

func workspaceLease(d *storetest.Fixture, workspace uuid.UUID) store.Lease {
	held := d.Claim(d.JobOf(`select river_job_id from workspace_deletions where id = $1`, workspace), "w")
	held.Workspace = uuid.Nil
	return held
}

// workWorkspace runs the job of a workspace's deletion to its end, and returns how many transactions it took.
func workWorkspace(d *storetest.Fixture, workspace uuid.UUID) (steps int) {
	d.T.Helper()
	ctx, held := d.T.Context(), workspaceLease(d, workspace)
	for deadline := time.Now().Add(time.Minute); ; steps++ {
		require.True(d.T, time.Now().Before(deadline), "the deletion does not end")
		next, err := d.Store.Lifecycle.WorkspaceStep(ctx, held, workspace)
		require.NoError(d.T, err)
		switch next {
		case lifecycle.WorkspaceIndex:
			require.NoError(d.T, d.Store.Lifecycle.IndexEmptied(ctx, held, workspace))
		case lifecycle.WorkspaceEmpty:
			require.NoError(d.T, d.Store.Lifecycle.FinishWorkspace(ctx, held, workspace))
			return steps
		}
	}
}

// The catalogue says which tables have rows of workspaces: one that is made tomorrow and not thought of here is red.
func TestNoTableKeepsRowsOfADeletedWorkspace(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	other, err := d.Store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	for _, space := range []uuid.UUID{d.Space.ID, other.ID} {
		d.FillEveryTable(space)
	}
	tables := d.WorkspaceTables()
	require.Greater(t, len(tables), 40)
	listed := slices.Concat(lifecycle.Emptied(), lifecycle.Kept())
	require.ElementsMatch(t, tables, listed, "tables with a workspace_id, and those that a workspace's deletion knows")
	before := map[string]int{}
	for _, table := range tables {
		require.Positive(t, d.RowsOf(table, d.Space.ID), table)
		before[table] = d.RowsOf(table, other.ID)
	}

	found, err := d.Store.Lifecycle.PreviewWorkspace(ctx, d.Space.ID)
	require.NoError(t, err)
	require.Len(t, found.Kinds, len(lifecycle.Holdings()), "every kind is measured")
	_, err = d.Store.Lifecycle.DeleteWorkspace(ctx, d.Space.ID, "main", "ada")
	require.NoError(t, err)
	workWorkspace(d, d.Space.ID)
	for _, table := range tables {
		if slices.Contains(lifecycle.Kept(), table) {
			require.Positive(t, d.RowsOf(table, d.Space.ID), "%s: what was done in the workspace is kept", table)
			continue
		}
		require.Zero(t, d.RowsOf(table, d.Space.ID), "%s keeps rows of a deleted workspace", table)
		if !slices.Contains([]string{"counters", "counter_deltas", "event_counts"}, table) { // which follow the log
			require.Equal(t, before[table], d.RowsOf(table, other.ID), "%s: rows of another workspace", table)
		}
	}
	require.Zero(t, d.Count(`select count(*) from workspaces where id = $1`, d.Space.ID))
	require.Zero(t, d.Count(`select count(*) from river_job where args ->> 'workspace_id' = $1`, d.Space.ID.String()))
	record, err := d.Store.Lifecycle.WorkspaceDeletion(ctx, d.Space.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"completed", "main", "ada"}, []string{record.Status, record.Name, record.DeletedBy})
	require.Equal(t, []string{"workspace.deleting", "workspace.deleted"}, d.EventTypes(d.Space.ID))
}

func TestAWorkspaceIsThereForNobodyFromItsDeletionOn(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, plan := d.Tune("1")
	held := d.Claim(plan, "w")
	secret, err := d.Store.Tenants.CreateKey(ctx, d.Space.ID, "k", tenants.RoleOwner)
	require.NoError(t, err)
	var differs *lifecycle.NameError
	_, err = d.Store.Lifecycle.DeleteWorkspace(ctx, d.Space.ID, "mian", "ada")
	require.ErrorAs(t, err, &differs)
	_, err = d.Store.Lifecycle.DeleteWorkspace(ctx, uuid.New(), "main", "ada")
	require.ErrorIs(t, err, store.ErrNotFound)

	made, err := d.Store.Lifecycle.DeleteWorkspace(ctx, d.Space.ID, "main", "ada")
	require.NoError(t, err)
	for name, read := range map[string]func() error{
		"a transaction of it": func() error { return d.Store.InWorkspace(ctx, d.Space.ID, func(*store.Tx) error { return nil }) },
		"its key":             func() error { _, err := d.Store.Tenants.KeyBySecret(ctx, secret); return err },
		"the workspace":       func() error { _, err := d.Store.Tenants.Workspace(ctx, d.Space.ID); return err },
		"its name":            func() error { _, err := d.Store.Tenants.WorkspaceNamed(ctx, "main"); return err },
		"a change of it": func() error {
			_, err := d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{})
			return err
		},
		"a new key": func() error {
			_, err := d.Store.Tenants.CreateKey(ctx, d.Space.ID, "k2", tenants.RoleOwner)
			return err
		},
		"a submission": func() error { _, err := d.Submit("late"); return err },
		"a ticket": func() error {
			_, err := d.Store.Tenants.CreateEventTicket(ctx, [32]byte{1}, tenants.TicketMaker{}, d.Space.ID, time.Minute)
			return err
		},
		"a running job's result": func() error {
			return d.Store.ContinueUnderLease(ctx, held, tune.ID, func(*store.Tx) error { return nil })
		},
	} {
		require.ErrorIs(t, read(), store.ErrNotFound, name)
	}
	all, err := d.Store.Tenants.Workspaces(ctx)
	require.NoError(t, err)
	require.Empty(t, all)
	lost, err := d.Store.Workers.Reconcile(ctx)
	require.NoError(t, err)
	require.Empty(t, lost, "its work is taken up by nobody")

	again, err := d.Store.Lifecycle.DeleteWorkspace(ctx, d.Space.ID, "", "grace")
	require.NoError(t, err)
	require.Equal(t, made, again, "it is deleted once")
	require.Equal(t, 1, d.Count(`select count(*) from river_job where kind = 'workspace.delete'`))
	_, err = d.Store.Tenants.CreateWorkspace(ctx, "main", 2)
	require.NoError(t, err, "its name is free")
}

// A worker that saves holds the row of its job and then needs its workspace's, for the rows that refer to it. The deletion takes
// the two in the same order.
func TestDeletingAWorkspaceWhileAJobSavesIsNotADeadlock(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	_, plan := d.Tune("1")
	d.Claim(plan, "w")
	saving := d.Open(fmt.Sprintf(`select from river_job where id = %d for update`, plan))
	deleted := make(chan error, 1)
	go func() {
		_, err := d.Store.Lifecycle.DeleteWorkspace(ctx, d.Space.ID, d.Space.Name, "test")
		deleted <- err
	}()
	d.AwaitBlocked()
	_, err := saving.Exec(ctx, `select from workspaces where id = $1 for key share nowait`, d.Space.ID)
	require.NoError(t, err, "the deletion has the workspace's row while it waits for the job's")
	require.NoError(t, saving.Commit(ctx))
	require.NoError(t, <-deleted)
}
