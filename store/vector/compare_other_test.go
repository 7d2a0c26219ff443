//go:build !amd64

package vector

// coarseKernels are those that this processor has.
func coarseKernels() map[string]func(*[tileRows]int32, []int8, []pair) {
	return map[string]func(*[tileRows]int32, []int8, []pair){"that is chosen": coarse}
}
