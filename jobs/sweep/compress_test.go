package sweep

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// Frames have the bytes of an encoder with its own window, whatever their length and what was packed before them.
func TestFramesHaveTheBytesOfTheWidestWindow(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	widest, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	used := &packer{}
	for _, n := range []int{0, 1, 1000, 1 << 17, 1<<17 + 1, 1 << 20, 3_000_001, 1 << 23, 9_000_000, 1000, 3_000_001, 1 << 17, 0} {
		raw := make([]byte, n)
		for i := range raw {
			bits := rng.Uint32()
			if raw[i] = byte(bits & (bits >> 8)); i >= 100 && i%7 > 0 {
				raw[i] = raw[i-100]
			}
		}
		for _, packer := range []*packer{{}, used} {
			frame, err := packer.compress(raw)
			require.NoError(t, err)
			require.True(t, bytes.Equal(widest.EncodeAll(raw, nil), frame), "%d bytes", n)
		}
	}
}
