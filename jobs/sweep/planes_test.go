package sweep

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Planes are all low bytes of a column, then all second ones, and so on, of however many rows.
func TestPlanesAreTheBytesOfEachColumnOneAfterTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(rt, "rows")
		long := rapid.SliceOfN(rapid.Uint64(), n, n).Draw(rt, "long")
		short := rapid.SliceOfN(rapid.Uint32(), n, n).Draw(rt, "short")
		column := make([]float64, n)
		for i, bits := range long {
			column[i] = math.Float64frombits(bits)
		}
		planes := make([]byte, 8*n)
		splitLong(planes, column)
		for k := range 8 {
			for i, bits := range long {
				require.Equal(rt, byte(bits>>(8*k)), planes[k*n+i], "plane %d, row %d", k, i)
			}
		}
		splitShort(planes, short, func(v uint32) uint32 { return v })
		for k := range 4 {
			for i, bits := range short {
				require.Equal(rt, byte(bits>>(8*k)), planes[k*n+i], "plane %d, row %d of the short ones", k, i)
			}
		}
	})
}

func BenchmarkPlanes(b *testing.B) {
	c := newColumns(2, 230_000)
	c.extend(230_000)
	for range c.len() {
		b.SetBytes(int64(c.len() * (rowBytes + 16)))
	}
	for b.Loop() {
		c.eachPlane(func([]byte) {})
	}
}
