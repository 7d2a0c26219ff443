package backtest

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/cpu"
)

// A processor with vectors of eight does not take those of four. Where it is said to have none of eight it does, and all must be the same.
func TestVectorsOfFourEqualPlainFunctions(t *testing.T) {
	t.Parallel()
	if !cpu.X86.HasAVX512F {
		t.Skip("the processor has no vectors of eight: the other tests hold those of four")
	}
	program, err := os.Executable()
	require.NoError(t, err)
	again := exec.CommandContext(t.Context(), program, "-test.v", "-test.run=VectorsEqual|SideBySide|InLegs|MeansThatAreExpected")
	again.Env = append(os.Environ(), "GODEBUG=cpu.avx512f=off")
	said, err := again.CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), "vectors of 4")
}

// width is how many numbers the vectors have that this process takes.
func width() int {
	switch {
	case wide():
		return Lanes
	case halves():
		return half
	}
	return 1
}
