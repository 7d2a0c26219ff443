package bert

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the curve misses, the activation is that of the definition, to the last bit.
func TestTheActivationIsItsDefinition(t *testing.T) {
	t.Parallel()
	c, r := newCurve(), rand.New(rand.NewPCG(12, 12))
	check := func(x float32) {
		if want, got := math.Float32bits(gelu(x)), math.Float32bits(c.gelu(x)); want != got {
			require.Equal(t, want, got, "at %v", x)
		}
	}
	for _, x := range []float32{0, float32(math.Copysign(0, -1)), curveFrom, curveTo, float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32,
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32} {
		check(x)
		check(math.Nextafter32(x, 0))
	}
	require.True(t, math.IsNaN(float64(c.gelu(float32(math.NaN())))))
	for range 500_000 {
		check(float32(r.NormFloat64() * 2))
		check(float32(r.NormFloat64() * math.Pow(2, -float64(r.IntN(40)))))
	}
}

func TestTheCurveMissesLessThanIsAllowedFor(t *testing.T) {
	t.Parallel()
	c := newCurve()
	for i := range 400_000 {
		x := curveFrom + (curveTo-curveFrom)*float64(i)/400_000
		if missed := math.Abs(c.below(x) - math.Erfc(-x/math.Sqrt2)/2); missed > curveMiss/10 {
			require.LessOrEqual(t, missed, curveMiss/10, "at %v", x)
		}
	}
}

func BenchmarkActivation(b *testing.B) {
	c, r := newCurve(), rand.New(rand.NewPCG(13, 13))
	values := make([]float32, 1024)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	for name, of := range map[string]func(float32) float32{"curve": c.gelu, "definition": gelu} {
		b.Run(name, func(b *testing.B) {
			var sum float32
			for b.Loop() {
				for _, x := range values {
					sum += of(x)
				}
			}
			_ = sum
		})
	}
}
