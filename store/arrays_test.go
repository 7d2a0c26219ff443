package store_test

import (
	"math"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
)

// Numbers that are sent as they are have the bytes that pgx sends.
func TestArraysHaveTheBytesOfPgx(t *testing.T) {
	t.Parallel()
	pgx, own := pgtype.NewMap(), pgtype.NewMap()
	store.RegisterArrays(own)
	for _, sent := range []struct {
		oid   uint32
		value any
	}{
		{pgtype.Int4ArrayOID, []int32{0, 1, -1, math.MaxInt32, math.MinInt32}},
		{pgtype.Int4ArrayOID, []int32{}},
		{pgtype.Int4ArrayOID, []int32(nil)},
		{pgtype.Int4ArrayOID, []int{1, 2}},
		{pgtype.Int4ArrayOID, []*int32{nil, new(int32(3))}},
		{pgtype.Int8ArrayOID, []int64{0, -1, math.MaxInt64, math.MinInt64}},
		{pgtype.Int8ArrayOID, []int32{7}},
		{pgtype.Float8ArrayOID, []float64{0, math.Copysign(0, -1), math.Inf(1), math.NaN(), math.SmallestNonzeroFloat64}},
		{pgtype.Float8ArrayOID, [][]float64{{1, 2}, {3, 4}}},
	} {
		for _, format := range []int16{pgtype.BinaryFormatCode, pgtype.TextFormatCode} {
			want, wantErr := pgx.Encode(sent.oid, format, sent.value, []byte("before"))
			got, err := own.Encode(sent.oid, format, sent.value, []byte("before"))
			require.Equal(t, wantErr == nil, err == nil, "%T %v", sent.value, sent.value)
			require.Equal(t, want, got, "%T %v", sent.value, sent.value)
		}
	}
}

func TestArraysReachTheDatabaseAndComeBack(t *testing.T) {
	t.Parallel()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: pgtest.New(t).URL, MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var short, none []int32
	var long []int64
	var real []float64
	require.NoError(t, pool.QueryRow(t.Context(), `select $1::int[], $2::bigint[], $3::float8[], $4::int[]`,
		[]int32{3, -1}, []int64{1 << 40}, []float64{0.1, math.Inf(-1)}, []int32(nil)).Scan(&short, &long, &real, &none))
	require.Equal(t, []int32{3, -1}, short)
	require.Equal(t, []int64{1 << 40}, long)
	require.Equal(t, []float64{0.1, math.Inf(-1)}, real)
	require.Nil(t, none)
}

// Not in parallel: allocations of all goroutines count.
func TestNumbersOfAnArrayAreNotBoxed(t *testing.T) {
	types, values, buf := pgtype.NewMap(), make([]int32, 1000), make([]byte, 0, 1<<14)
	for i := range values {
		values[i] = int32(1000 + i)
	}
	store.RegisterArrays(types)
	require.Less(t, testing.AllocsPerRun(100, func() {
		var err error
		buf, err = types.Encode(pgtype.Int4ArrayOID, pgtype.BinaryFormatCode, values, buf[:0])
		require.NoError(t, err)
	}), 10.0)
}
