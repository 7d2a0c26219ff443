package upkeep_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
)

func TestTheWriteProbeSeesADatabaseThatOnlyReads(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	first, err := d.Store.Upkeep.ProbeWrite(t.Context())
	require.NoError(t, err)
	again, err := d.Store.Upkeep.ProbeWrite(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, again, "probes soon after one another are one")
	conn, err := d.Store.Pool().Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `set default_transaction_read_only = on`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `select probe_write('2 seconds')`)
	require.True(t, store.ReadOnly(err), "%v", err)
	require.True(t, store.Transient(err))
}
