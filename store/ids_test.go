package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
)

func TestIDsOfEveryFormReachTheDatabase(t *testing.T) {
	t.Parallel()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: pgtest.New(t).URL, MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	id, other := uuid.New(), uuid.New()
	var none *uuid.UUID
	var got uuid.UUID
	var text string
	var raw []byte
	var gotNone, gotSome *uuid.UUID
	var nullable, null uuid.NullUUID
	var many []uuid.UUID
	require.NoError(t, pool.QueryRow(t.Context(), `select $1::uuid, $2::text, uuid_send($1::uuid), $3::uuid, $4::uuid, $5::uuid, $6::uuid, $7::uuid[]`,
		id, id, none, &id, uuid.NullUUID{UUID: id, Valid: true}, uuid.NullUUID{}, []uuid.UUID{id, other}).
		Scan(&got, &text, &raw, &gotNone, &gotSome, &nullable, &null, &many))
	require.Equal(t, id, got)
	require.Equal(t, id.String(), text)
	require.Equal(t, id[:], raw)
	require.Nil(t, gotNone)
	require.Equal(t, &id, gotSome)
	require.Equal(t, uuid.NullUUID{UUID: id, Valid: true}, nullable)
	require.False(t, null.Valid)
	require.Equal(t, []uuid.UUID{id, other}, many)
}

// Not in parallel: allocations of all goroutines count.
func TestIDsAreNotSentAsText(t *testing.T) {
	types, id, buf := pgtype.NewMap(), uuid.New(), make([]byte, 0, 64)
	sent := func() float64 {
		return testing.AllocsPerRun(100, func() {
			var err error
			buf, err = types.Encode(pgtype.UUIDOID, pgtype.BinaryFormatCode, id, buf[:0])
			require.NoError(t, err)
		})
	}
	byItself := sent()
	types = pgtype.NewMap() // without the plans that the first has kept
	store.RegisterIDs(types)
	require.Less(t, sent(), byItself)
	require.Equal(t, id[:], buf)
}
