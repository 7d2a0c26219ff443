package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"millrace/store"
)

func TestErrorsThatSayNotNow(t *testing.T) {
	t.Parallel()
	for code, notNow := range map[string]bool{
		"53100": true, "53200": true, "53300": true, "25006": true, "25P03": true, "57P01": true, "57P03": true,
		"08006": true, "40001": true, "40P01": true, "55P03": true,
		"57014": false, "57P04": false, "23505": false, "42P01": false, "22P05": false, "28P01": false,
	} {
		err := fmt.Errorf("save: %w", &pgconn.PgError{Code: code})
		require.Equal(t, notNow, store.Transient(err), code)
		require.Equal(t, notNow, store.Refused(err), code)
	}
	require.False(t, store.Transient(nil))
	require.False(t, store.Transient(errors.New("no such strategy")))
}
