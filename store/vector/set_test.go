package vector

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
)

func stored(v []float32) []byte {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}

func randomVector(r *rand.Rand, dims, nonzero int) []float32 {
	v := make([]float32, dims)
	for range nonzero {
		v[r.IntN(dims)] = float32(r.NormFloat64())
	}
	return knowledge.Normalized(v)
}

func BenchmarkSet(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newSet(384)
	doc := uuid.New()
	for i := range 100_000 {
		if i%50 == 0 {
			doc = uuid.New()
		}
		s.put(uuid.New(), doc, "text", stored(randomVector(r, 384, 384)))
	}
	for name, nonzero := range map[string]int{"dense": 2000, "lexical": 16} {
		b.Run(name, func(b *testing.B) {
			q := randomVector(r, 384, nonzero)
			for b.Loop() {
				if _, err := s.search(b.Context(), q, knowledge.Filter{}, 10); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.bytes())/1e6, "MB")
		})
	}
}
