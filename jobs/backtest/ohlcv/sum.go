package ohlcv

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"

	"millrace/jobs/backtest"
)

// Sum is the content hash of bars: SHA-256 over the number of bars and the SHA-256 of each column, time,
// open, high, low, close and volume, each value as eight little-endian bytes. It does not depend on the
// file format the bars came from, nor on how many appends brought them together.
func Sum(b *backtest.Bars) [sha256.Size]byte {
	d := NewDigest()
	d.Append(b)
	return d.Sum()
}

// FlatSum is the content hash of before bars could be appended: SHA-256 over the number of bars and the
// columns one after the other, which cannot be continued. Datasets and manifests of then have it.
func FlatSum(b *backtest.Bars) [sha256.Size]byte {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())))
	writeTimes(h, b.Time)
	for _, col := range floatColumns(b) {
		writeFloats(h, *col)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Matches reports whether a content hash is that of the bars, in the form of now or of before.
func Matches(b *backtest.Bars, sum []byte) bool {
	if now := Sum(b); bytes.Equal(now[:], sum) {
		return true
	}
	flat := FlatSum(b)
	return bytes.Equal(flat[:], sum)
}

// Digest is a content hash that continues where more bars are appended, at the cost of these alone.
type Digest struct {
	bars    uint64
	columns [6]hash.Hash // time, open, high, low, close, volume
}

// NewDigest returns the digest of zero bars.
func NewDigest() *Digest {
	var d Digest
	for i := range d.columns {
		d.columns[i] = sha256.New()
	}
	return &d
}

// Append adds bars after those that the digest has.
func (d *Digest) Append(b *backtest.Bars) {
	d.bars += uint64(b.Len())
	writeTimes(d.columns[0], b.Time)
	for i, col := range floatColumns(b) {
		writeFloats(d.columns[i+1], *col)
	}
}

// Sum is the content hash of all bars so far; more can be appended after it.
func (d *Digest) Sum() [sha256.Size]byte {
	all := binary.LittleEndian.AppendUint64(nil, d.bars)
	for _, column := range d.columns {
		all = column.Sum(all)
	}
	return sha256.Sum256(all)
}

// State is what ReadDigest continues from: the number of bars, and the state of each column's hash.
func (d *Digest) State() ([]byte, error) {
	state := binary.LittleEndian.AppendUint64(nil, d.bars)
	for _, column := range d.columns {
		of, err := column.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("state of a hash: %w", err)
		}
		state = append(state, of...)
	}
	return state, nil
}

// ReadDigest continues a digest from its State.
func ReadDigest(state []byte) (*Digest, error) {
	if len(state) < 8 || (len(state)-8)%6 != 0 {
		return nil, errors.New("not the state of a digest")
	}
	d := NewDigest()
	d.bars = binary.LittleEndian.Uint64(state)
	state = state[8:]
	size := len(state) / len(d.columns)
	for i, column := range d.columns {
		if err := column.(encoding.BinaryUnmarshaler).UnmarshalBinary(state[i*size : (i+1)*size]); err != nil {
			return nil, fmt.Errorf("not the state of a digest: %w", err)
		}
	}
	return d, nil
}

func writeTimes(h hash.Hash, values []int64) {
	buf := make([]byte, 0, 32<<10)
	for _, v := range values {
		buf = flushFull(h, binary.LittleEndian.AppendUint64(buf, uint64(v)))
	}
	h.Write(buf)
}

func writeFloats(h hash.Hash, values []float64) {
	buf := make([]byte, 0, 32<<10)
	for _, v := range values {
		buf = flushFull(h, binary.LittleEndian.AppendUint64(buf, math.Float64bits(v)))
	}
	h.Write(buf)
}

func flushFull(h hash.Hash, buf []byte) []byte {
	if len(buf)+8 <= cap(buf) {
		return buf
	}
	h.Write(buf)
	return buf[:0]
}
