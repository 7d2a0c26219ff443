package evidence

import "testing"

func BenchmarkEvidence(b *testing.B) {
	p := noise(1, 1000, 2000)
	b.Run("RealityCheckAndSPA/trials=1000/returns=2000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compare(p, Options{Resamples: 1000, Block: 6.3, Level: 0.05, Seed: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CrossValidate/trials=1000/returns=2000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := CrossValidate(p, 20); err != nil {
				b.Fatal(err)
			}
		}
	})
	few := &Panel{Trials: p.Trials[:500], Returns: p.Returns[:500]}
	b.Run("Cluster/trials=500/returns=2000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Cluster(few, 0)
		}
	})
}
