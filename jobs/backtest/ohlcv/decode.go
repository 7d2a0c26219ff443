package ohlcv

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/klauspost/compress/zstd"

	"millrace/jobs/backtest"
)

// Decode unpacks what Encode packed. Its memory is bounded by the number of bars that the data
// states, at most MaxRows.
func Decode(data []byte) (*backtest.Bars, error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: no %s magic", ErrEncoding, magic)
	}
	count, used := binary.Uvarint(data[len(magic):])
	if used <= 0 || count == 0 || count > MaxRows {
		return nil, fmt.Errorf("%w: bars must be from 1 to %d", ErrEncoding, MaxRows)
	}
	n := int(count)
	raw, err := decompress(data[len(magic)+used:], n)
	if err != nil {
		return nil, err
	}
	var b backtest.Bars
	transform, payload, raw, err := nextSection(raw)
	if err != nil {
		return nil, err
	}
	if transform != transformDelta2 {
		return nil, fmt.Errorf("%w: time has transform %d", ErrEncoding, transform)
	}
	if b.Time, err = decodeDelta2(payload, n); err != nil {
		return nil, err
	}
	for _, col := range floatColumns(&b) {
		if transform, payload, raw, err = nextSection(raw); err != nil {
			return nil, err
		}
		if *col, err = decodeFloats(transform, payload, n); err != nil {
			return nil, err
		}
	}
	if len(raw) != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrEncoding, len(raw))
	}
	bars, err := backtest.NewBars(b.Time, b.Open, b.High, b.Low, b.Close, b.Volume)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return bars, nil
}

// decompress unpacks the frame of n bars: six columns of at most a ten-byte varint a bar. The room
// on top is for zstd's smallest windows.
func decompress(frame []byte, n int) ([]byte, error) {
	limit := uint64(6*binary.MaxVarintLen64*n) + 64<<10
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(limit))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	defer z.Close()
	raw, err := z.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return raw, nil
}

func nextSection(raw []byte) (transform byte, payload, rest []byte, err error) {
	if len(raw) == 0 {
		return 0, nil, nil, fmt.Errorf("%w: a column is missing", ErrEncoding)
	}
	size, used := binary.Uvarint(raw[1:])
	body := raw[1+max(used, 0):]
	if used <= 0 || size > uint64(len(body)) {
		return 0, nil, nil, fmt.Errorf("%w: a column is cut short", ErrEncoding)
	}
	return raw[0], body[:size], body[size:], nil
}

func decodeDelta2(payload []byte, n int) ([]int64, error) {
	out := make([]int64, n)
	var last, delta int64
	for i := range out {
		d, used := binary.Varint(payload)
		if used <= 0 {
			return nil, fmt.Errorf("%w: time %d is cut short", ErrEncoding, i+1)
		}
		payload = payload[used:]
		delta += d
		last += delta
		out[i] = last
	}
	if len(payload) != 0 {
		return nil, fmt.Errorf("%w: more times than bars", ErrEncoding)
	}
	return out, nil
}

func decodeFloats(transform byte, payload []byte, n int) ([]float64, error) {
	switch {
	case transform == transformXOR:
		return decodeXOR(payload, n)
	case transform >= transformDecimal && transform <= transformDecimal+maxDecimals:
		return decodeDecimal(payload, n, math.Pow10(int(transform-transformDecimal)))
	}
	return nil, fmt.Errorf("%w: unknown transform %d", ErrEncoding, transform)
}

func decodeXOR(payload []byte, n int) ([]float64, error) {
	if len(payload) != 8*n {
		return nil, fmt.Errorf("%w: a column has %d bytes, not %d", ErrEncoding, len(payload), 8*n)
	}
	out := make([]float64, n)
	var last uint64
	for i := range out {
		var x uint64
		for plane := range 8 {
			x = x<<8 | uint64(payload[plane*n+i])
		}
		last ^= x
		out[i] = math.Float64frombits(last)
	}
	return out, nil
}

func decodeDecimal(payload []byte, n int, scale float64) ([]float64, error) {
	out := make([]float64, n)
	var last int64
	for i := range out {
		d, used := binary.Varint(payload)
		if used <= 0 {
			return nil, fmt.Errorf("%w: value %d is cut short", ErrEncoding, i+1)
		}
		payload = payload[used:]
		last += d
		out[i] = float64(last) / scale
	}
	if len(payload) != 0 {
		return nil, fmt.Errorf("%w: more values than bars", ErrEncoding)
	}
	return out, nil
}
