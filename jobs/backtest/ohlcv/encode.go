package ohlcv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/zstd"

	"millrace/jobs/backtest"
)

// An encoded dataset is the magic, the number of bars as a uvarint and one zstd frame. The frame
// holds six columns (time, open, high, low, close, volume), each as its transform's byte, its
// length as a uvarint and its payload.
const magic = "MRB1"

// The transforms of a column. A transform of decimal+k says that every value is a whole multiple
// of 10⁻ᵏ; what follows are zigzag varints of the differences of those multiples.
const (
	transformXOR     = 0 // each float's bits xor the one before, byte planes one after the other
	transformDelta2  = 1 // zigzag varints of the second differences of integers
	transformDecimal = 16
	maxDecimals      = 8
)

// maxExact is the magnitude up to which a float64 holds every whole number.
const maxExact = 1 << 53

// ErrEncoding is the cause of every error of Decode.
var ErrEncoding = errors.New("not an encoded dataset")

func floatColumns(b *backtest.Bars) [5]*[]float64 {
	return [5]*[]float64{&b.Open, &b.High, &b.Low, &b.Close, &b.Volume}
}

// Encode packs bars for storage, without loss.
func Encode(b *backtest.Bars) ([]byte, error) {
	raw := make([]byte, 0, 16*b.Len()+64)
	raw = appendSection(raw, transformDelta2, encodeDelta2(b.Time))
	for _, col := range floatColumns(b) {
		transform, payload := encodeFloats(*col)
		raw = appendSection(raw, transform, payload)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	out := binary.AppendUvarint([]byte(magic), uint64(b.Len()))
	out = z.EncodeAll(raw, out)
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("close zstd: %w", err)
	}
	return out, nil
}

func appendSection(raw []byte, transform byte, payload []byte) []byte {
	raw = append(raw, transform)
	raw = binary.AppendUvarint(raw, uint64(len(payload)))
	return append(raw, payload...)
}

func encodeDelta2(values []int64) []byte {
	out := make([]byte, 0, len(values)+16)
	var last, delta int64
	for _, v := range values {
		d := v - last
		out = binary.AppendVarint(out, d-delta)
		last, delta = v, d
	}
	return out
}

// encodeFloats writes a column as decimals when that is exact, else as xor-ed bits.
func encodeFloats(values []float64) (transform byte, payload []byte) {
	for k := range maxDecimals + 1 {
		if payload, ok := encodeDecimal(values, math.Pow10(k)); ok {
			return transformDecimal + byte(k), payload
		}
	}
	n := len(values)
	payload = make([]byte, 8*n)
	var last uint64
	for i, v := range values {
		bits := math.Float64bits(v)
		x := bits ^ last
		last = bits
		for plane := range 8 {
			payload[plane*n+i] = byte(x >> (56 - 8*plane))
		}
	}
	return transformXOR, payload
}

// encodeDecimal fails at the first value that scale does not make whole and give back exactly.
func encodeDecimal(values []float64, scale float64) ([]byte, bool) {
	var out []byte
	var last int64
	for _, v := range values {
		whole := math.Round(v * scale)
		// The bits are compared because -0 equals 0, and a whole number cannot hold it.
		if !(math.Abs(whole) < maxExact) || math.Float64bits(float64(int64(whole))/scale) != math.Float64bits(v) {
			return nil, false
		}
		if out == nil {
			out = make([]byte, 0, 2*len(values)+16)
		}
		out = binary.AppendVarint(out, int64(whole)-last)
		last = int64(whole)
	}
	return out, true
}
