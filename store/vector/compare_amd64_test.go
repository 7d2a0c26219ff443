package vector

import "golang.org/x/sys/cpu"

// coarseKernels are those that this processor has.
func coarseKernels() map[string]func(*[tileRows]int32, []int8, []pair) {
	kernels := map[string]func(*[tileRows]int32, []int8, []pair){"that is chosen": coarse}
	if cpu.X86.HasAVX2 {
		kernels["AVX2"] = func(sums *[tileRows]int32, codes []int8, pairs []pair) {
			if len(pairs) == 0 {
				clear(sums[:])
				return
			}
			coarseAVX2(sums, &codes[0], &pairs[0], len(pairs))
		}
	}
	return kernels
}
