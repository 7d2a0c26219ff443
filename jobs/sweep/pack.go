package sweep

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// The windows of an encoder: the least holds one of its blocks.
const (
	leastWindow = 1 << 17
	mostWindow  = 8 << 20
)

// packer compresses one shard after the other. What it takes for that stays, as a new encoder takes as long to be made as it takes
// to compress a shard. The zero value is ready for use.
type packer struct {
	encoder       *zstd.Encoder
	window        int
	planes, frame []byte
}

// pack is columns.encode.
func (k *packer) pack(c *columns) ([]byte, error) {
	k.planes = c.appendPlanesTo(k.planes[:0])
	return k.compress(k.planes)
}

// compress makes one frame. The window fits what it has to hold: an encoder takes twice its window at once,
// 16 MB for each shard otherwise. The frame has the same bytes.
func (k *packer) compress(raw []byte) ([]byte, error) {
	window := min(mostWindow, max(leastWindow, 1<<bits.Len(uint(len(raw)))))
	if k.window < window {
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		k.encoder, k.window = encoder, window
	}
	k.frame = k.encoder.EncodeAll(raw, k.frame[:0])
	return slices.Clone(k.frame), nil
}
