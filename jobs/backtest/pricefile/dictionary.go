package pricefile

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
)

var errHybrid = errors.New("its indexes are cut short or malformed")

// decodeHybrid decodes count numbers of so many bits from runs and packed groups of eight. It allocates by
// count alone, whatever the runs claim.
func decodeHybrid(into []uint32, b []byte, bits, count int) ([]uint32, error) {
	into = sized(into, count)
	for at := 0; at < count; {
		head, used := binary.Uvarint(b)
		if used <= 0 {
			return nil, errHybrid
		}
		b = b[used:]
		if head&1 == 0 { // a run of one value
			width := (bits + 7) / 8
			if len(b) < width || head>>1 == 0 {
				return nil, errHybrid
			}
			value := uint32(0)
			for i := range width {
				value |= uint32(b[i]) << (8 * i)
			}
			b = b[width:]
			n := int(min(head>>1, uint64(count-at)))
			run := into[at : at+n]
			for i := range run {
				run[i] = value
			}
			at += n
			continue
		}
		groups := head >> 1
		if groups == 0 || groups > uint64(len(b)) && bits > 0 || groups > uint64(count) {
			return nil, errHybrid
		}
		size := min(int(groups)*bits, len(b))
		n := min(int(groups)*8, count-at)
		if n*bits > 8*size {
			return nil, errHybrid
		}
		unpackBits(into[at:at+n], b[:size], bits)
		b = b[size:]
		at += n
	}
	return into, nil
}

// unpackBits reads numbers of so many bits, the lowest first.
func unpackBits(into []uint32, b []byte, bits int) {
	var have uint64
	var count int
	mask := uint64(1)<<bits - 1
	for i := range into {
		for count < bits {
			have |= uint64(b[0]) << count
			b = b[1:]
			count += 8
		}
		into[i] = uint32(have & mask)
		have >>= bits
		count -= bits
	}
}

// lookUp decodes indexes into the dictionary.
func (r *pageReader) lookUp(b []byte, n int) error {
	if !r.hasDict {
		return errors.New("has no dictionary")
	}
	if n == 0 {
		r.page.clear()
		return nil
	}
	if len(b) == 0 || b[0] > 32 {
		return errHybrid
	}
	var err error
	if r.index, err = decodeHybrid(r.index, b[1:], int(b[0]), n); err != nil {
		return err
	}
	size := r.dict.size(r.kind)
	if uint64(slices.Max(r.index)) >= uint64(size) {
		return errors.New("an index is beyond the dictionary")
	}
	switch r.kind {
	case parquet.Int32, parquet.Int64:
		r.page.ints = sized(r.page.ints, n)
		for i, k := range r.index {
			r.page.ints[i] = r.dict.ints[k]
		}
	case parquet.Float, parquet.Double:
		r.page.floats = sized(r.page.floats, n)
		for i, k := range r.index {
			r.page.floats[i] = r.dict.floats[k]
		}
	case parquet.Int96:
		r.page.int96 = sized(r.page.int96, n)
		for i, k := range r.index {
			r.page.int96[i] = r.dict.int96[k]
		}
	default:
		return r.lookUpTexts(n)
	}
	return nil
}

// lookUpTexts copies texts out of the dictionary. A page of long ones repeated is refused.
func (r *pageReader) lookUpTexts(n int) error {
	most := mostOf(int64(n))
	r.page.width = r.width
	r.page.bytes, r.page.offsets = r.page.bytes[:0], append(r.page.offsets[:0], 0)
	for _, k := range r.index {
		r.page.bytes = append(r.page.bytes, r.dict.text(int(k))...)
		if int64(len(r.page.bytes)) > most {
			return errors.New("texts are longer than a time or a name is")
		}
		r.page.offsets = append(r.page.offsets, uint32(len(r.page.bytes)))
	}
	return nil
}

func (p *pageValues) clear() {
	p.ints, p.floats, p.int96, p.bytes = p.ints[:0], p.floats[:0], p.int96[:0], p.bytes[:0]
	p.offsets = append(p.offsets[:0], 0)
}

// size is the number of values of a column's kind.
func (p *pageValues) size(kind parquet.Kind) int {
	switch kind {
	case parquet.Int32, parquet.Int64:
		return len(p.ints)
	case parquet.Float, parquet.Double:
		return len(p.floats)
	case parquet.Int96:
		return len(p.int96)
	case parquet.FixedLenByteArray:
		return len(p.bytes) / max(p.width, 1)
	}
	return len(p.offsets) - 1
}

// spread moves the values that are there to their places between nulls.
func (p *pageValues) spread() {
	p.ints = spreadOut(p.ints, p.null)
	p.floats = spreadOut(p.floats, p.null)
	p.int96 = spreadOut(p.int96, p.null)
	if p.width > 0 && len(p.bytes) > 0 {
		wide := make([]byte, p.width*len(p.null))
		from := 0
		for i, null := range p.null {
			if !null {
				from += copy(wide[i*p.width:(i+1)*p.width], p.bytes[from:])
			}
		}
		p.bytes = wide
		return
	}
	if len(p.offsets) > 0 {
		offsets := make([]uint32, 1, len(p.null)+1)
		offsets[0] = p.offsets[0]
		next := 0
		for _, null := range p.null {
			if !null {
				next++
			}
			offsets = append(offsets, p.offsets[min(next, len(p.offsets)-1)])
		}
		p.offsets = offsets
	}
}

func spreadOut[T any](values []T, null []bool) []T {
	if values == nil {
		return nil
	}
	have := len(values)
	values = slices.Grow(values, len(null)-min(have, len(null)))[:len(null)]
	next := have - 1
	for i := len(null) - 1; i >= 0; i-- {
		var v T
		if !null[i] && next >= 0 {
			v = values[next]
			next--
		}
		values[i] = v
	}
	return values
}

// floatsOf reads floating-point numbers one after the other.
func floatsOf(into []float64, b []byte, kind parquet.Kind) {
	if kind == parquet.Float {
		for i := range into {
			into[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
		return
	}
	for i := range into {
		into[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
}
