package market_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/market"
	"millrace/store/storetest"
	"millrace/store/tenants"
)

// Eight are uploaded at once where there is room for three more: three are stored.
func TestUploadsAtOnceDoNotGoBeyondTheQuotaOfDatasets(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, err := d.Store.Tenants.ChangeWorkspace(t.Context(), d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{Datasets: new(4)}})
	require.NoError(t, err)
	bars := generated(t, 300)
	var calls sync.WaitGroup
	var stored atomic.Int64
	for i := range 8 {
		calls.Go(func() {
			_, err := d.Store.Market.PutDataset(t.Context(), d.Space.ID, market.Dataset{Name: fmt.Sprint("n", i), Symbol: "X", Timeframe: "1d", Calendar: 252}, bars)
			var over *store.QuotaError
			switch {
			case err == nil:
				stored.Add(1)
			case !errors.As(err, &over) || over.Quota != store.QuotaDatasets || over.Limit != 4:
				t.Error(err)
			}
		})
	}
	calls.Wait()
	require.EqualValues(t, 3, stored.Load())
	has, err := d.Store.UsageOf(t.Context(), d.Space.ID)
	require.NoError(t, err)
	require.EqualValues(t, 4, has.Datasets)
}

// Where there is a quota, an upload counts after those that came before it have ended; where there is none, it waits for
// nobody.
func TestAnUploadUnderAQuotaWaitsForTheOneBeforeIt(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 300)
	put := func(name string) error {
		_, err := d.Store.Market.PutDataset(t.Context(), d.Space.ID, market.Dataset{Name: name, Symbol: "X", Timeframe: "1d", Calendar: 252}, bars)
		return err
	}
	lock := `select pg_advisory_xact_lock(hashtextextended('millrace quota ' || '` + d.Space.ID.String() + `', 0))`
	held := d.Open(lock)
	require.NoError(t, put("free"))
	require.NoError(t, held.Rollback(t.Context()))
	_, err := d.Store.Tenants.ChangeWorkspace(t.Context(), d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{Datasets: new(3)}})
	require.NoError(t, err)
	held = d.Open(lock)
	done := make(chan error, 1)
	go func() { done <- put("counted") }()
	d.AwaitBlocked()
	require.NoError(t, held.Rollback(t.Context()))
	require.NoError(t, <-done)
}
