package ohlcv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"

	"millrace/jobs/backtest"
)

// Decode unpacks what Encode packed. Its memory is bounded by the number of bars that the data
// states, at most MaxRows.
func Decode(data []byte) (*backtest.Bars, error) {
	n, frame, err := header(data)
	if err != nil {
		return nil, err
	}
	raw, err := decompress(frame, n)
	if err != nil {
		return nil, err
	}
	var b backtest.Bars
	if b.Time, raw, err = nextTimes(raw, n); err != nil {
		return nil, err
	}
	var transform byte
	var payload []byte
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

// DecodeTimes unpacks the bars' times only, in microseconds: they come first, and what follows is not decompressed.
func DecodeTimes(data []byte) ([]int64, error) {
	n, frame, err := header(data)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(memory(n)))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	defer z.Close()
	const sectionHead = 1 + binary.MaxVarintLen64
	raw := make([]byte, sectionHead)
	read, err := io.ReadFull(z, raw)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	raw = raw[:read]
	size, used := binary.Uvarint(raw[min(1, read):])
	if used <= 0 || size > uint64(binary.MaxVarintLen64*n) {
		return nil, fmt.Errorf("%w: a column is cut short", ErrEncoding)
	}
	if missing := 1 + used + int(size) - read; missing > 0 {
		raw = append(raw, make([]byte, missing)...)
		if _, err := io.ReadFull(z, raw[read:]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
		}
	}
	times, _, err := nextTimes(raw, n)
	return times, err
}

// header reads the number of bars and finds the frame.
func header(data []byte) (n int, frame []byte, err error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return 0, nil, fmt.Errorf("%w: no %s magic", ErrEncoding, magic)
	}
	count, used := binary.Uvarint(data[len(magic):])
	if used <= 0 || count == 0 || count > MaxRows {
		return 0, nil, fmt.Errorf("%w: bars must be from 1 to %d", ErrEncoding, MaxRows)
	}
	return int(count), data[len(magic)+used:], nil
}

func nextTimes(raw []byte, n int) (times []int64, rest []byte, err error) {
	transform, payload, rest, err := nextSection(raw)
	if err != nil {
		return nil, nil, err
	}
	if transform != transformDelta2 {
		return nil, nil, fmt.Errorf("%w: time has transform %d", ErrEncoding, transform)
	}
	times, err = decodeDelta2(payload, n)
	return times, rest, err
}

// memory is the most that a decoder of n bars may take: six columns of at most a ten-byte varint a bar. The room on top
// is for zstd's smallest windows.
func memory(n int) uint64 { return uint64(6*binary.MaxVarintLen64*n) + 64<<10 }

// decompress unpacks the frame of n bars.
func decompress(frame []byte, n int) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(memory(n)))
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
