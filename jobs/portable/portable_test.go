package portable_test

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/golden"
	"millrace/jobs/portable"
)

// functions are ours beside the library's, on a range of arguments.
func functions() map[string]struct {
	ours, library func(float64) float64
	from, to      float64
} {
	return map[string]struct {
		ours, library func(float64) float64
		from, to      float64
	}{
		"Exp":    {portable.Exp, math.Exp, -745, 709},
		"Log":    {portable.Log, math.Log, 0, 1e6},
		"Log10":  {portable.Log10, math.Log10, 0, 1e6},
		"Erfc":   {portable.Erfc, math.Erfc, -7, 27},
		"Erfinv": {portable.Erfinv, math.Erfinv, -1, 1},
		"Sin":    {portable.Sin, math.Sin, -1e10, 1e10},
		"Cos":    {portable.Cos, math.Cos, -1000, 1000},
		"Tan":    {portable.Tan, math.Tan, -1000, 1000},
		"Asin":   {portable.Asin, math.Asin, -1, 1},
		"Acos":   {portable.Acos, math.Acos, -1, 1},
		"Atan":   {portable.Atan, math.Atan, -100, 100},
		"Cbrt":   {portable.Cbrt, math.Cbrt, -1e6, 1e6},
		"Log1p":  {portable.Log1p, math.Log1p, -1, 10},
		"Hypot":  {func(x float64) float64 { return portable.Hypot(x, 3) }, func(x float64) float64 { return math.Hypot(x, 3) }, -50, 50},
		"Pow2.7": {func(x float64) float64 { return portable.Pow(x, 2.7) }, func(x float64) float64 { return math.Pow(x, 2.7) }, 0, 1e5},
		"Pow-11": {func(x float64) float64 { return portable.Pow(x, -11) }, func(x float64) float64 { return math.Pow(x, -11) }, -50, 50},
		"PowX":   {func(x float64) float64 { return portable.Pow(1.0003, x) }, func(x float64) float64 { return math.Pow(1.0003, x) }, -1e5, 1e5},
	}
}

func TestFunctionsEqualTheLibrarysWithinRounding(t *testing.T) {
	t.Parallel()
	special := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 2, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, 1e300, -745.2}
	for name, f := range functions() {
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 20_000 {
			x := f.from + rng.Float64()*(f.to-f.from)
			if i < len(special) {
				x = special[i]
			}
			ours, library := f.ours(x), f.library(x)
			switch {
			case math.IsNaN(library):
				require.True(t, math.IsNaN(ours), "%s(%v) is %v", name, x, ours)
			case math.IsInf(library, 0) || library == 0:
				require.Equal(t, library, ours, "%s(%v)", name, x)
			default:
				require.InDelta(t, 1, ours/library, 1e-14, "%s(%v) is %v, not %v", name, x, ours, library)
			}
		}
	}
}

// TestFunctionsHaveTheSameBitsOnEveryMachine compares with bits kept in a file; it runs under another
// architecture too.
func TestFunctionsHaveTheSameBitsOnEveryMachine(t *testing.T) {
	t.Parallel()
	hashes := map[string]string{}
	for name, f := range functions() {
		rng := rand.New(rand.NewPCG(3, 4))
		bits := make([]uint64, 20_000)
		for i := range bits {
			v := f.ours(f.from + float64(rng.Float64()*(f.to-f.from)))
			if bits[i] = math.Float64bits(v); v != v {
				bits[i] = 1
			}
		}
		var err error
		hashes[name], err = golden.Sum(bits)
		require.NoError(t, err)
	}
	require.NoError(t, golden.Check("testdata/results.json", "1", "the stamp in this test", hashes, os.Getenv(golden.WriteEnv) != ""))
}

func BenchmarkExp(b *testing.B) {
	var sum float64
	for i := range b.N {
		sum += portable.Exp(float64(i%100) / 10)
	}
	_ = sum
}
