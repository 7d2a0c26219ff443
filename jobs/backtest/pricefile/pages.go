package pricefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/bytestreamsplit"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/plain"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// pageValues are the values of one page. Only the slice of the column's kind is set; a null has the zero
// value there.
type pageValues struct {
	count   int
	null    []bool // nil: none is
	ints    []int64
	floats  []float64
	int96   []deprecated.Int96
	bytes   []byte // texts one after the other
	offsets []uint32
	width   int // bytes of each value, when they are all alike
}

// text is value i of a column of texts or of bytes.
func (p *pageValues) text(i int) []byte {
	if p.width > 0 {
		return p.bytes[i*p.width : (i+1)*p.width]
	}
	return p.bytes[p.offsets[i]:p.offsets[i+1]]
}

// pageReader reads the pages of one column, reusing its memory.
type pageReader struct {
	src      io.ReaderAt
	size     int64
	kind     parquet.Kind
	width    int
	optional bool
	left     int64 // rows that are not read
	buf      []byte
	unpack   unpacker
	dict     pageValues
	hasDict  bool
	page     pageValues
	into     *[]float64 // column of floats whose free room pages are decoded in; nil: a page has memory of its own
	index    []uint32
}

func newPageReader(src io.ReaderAt, size int64, leaf *parquet.Column, rows int64) *pageReader {
	r := &pageReader{src: src, size: size, kind: leaf.Type().Kind(), optional: leaf.Optional(), left: rows}
	if r.kind == parquet.FixedLenByteArray {
		r.width = leaf.Type().Length()
	}
	return r
}

// chunk reads the pages of one row group's part of the column.
func (r *pageReader) chunk(md *format.ColumnMetaData, each func(*pageValues) error) error {
	from, to, err := chunkBounds(r.size, md)
	if err != nil {
		return err
	}
	r.hasDict = false
	for number := 0; from < to; number++ {
		header, used, err := r.header(from, to)
		if err != nil {
			return fmt.Errorf("page %d: %w", number, err)
		}
		from += used
		size := int64(header.CompressedPageSize)
		if size < 0 || size > to-from || size > maxPage || header.UncompressedPageSize < 0 {
			return fmt.Errorf("page %d: impossible size", number)
		}
		if int64(cap(r.buf)) < size {
			r.buf = make([]byte, size)
		}
		if _, err := r.src.ReadAt(r.buf[:size], from); err != nil {
			return fmt.Errorf("page %d: %w", number, err)
		}
		from += size
		if err := r.one(header, r.buf[:size], md.Codec, each); err != nil {
			var row *RowError
			if errors.As(err, &row) {
				return err
			}
			return fmt.Errorf("page %d: %w", number, err)
		}
	}
	return nil
}

// header reads the header of the page at from.
func (r *pageReader) header(from, to int64) (*format.PageHeader, int64, error) {
	for _, window := range []int64{512, 64 << 10, 1 << 20} { // statistics may hold long values
		head := make([]byte, min(window, to-from))
		if _, err := r.src.ReadAt(head, from); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("read: %w", err)
		}
		used, err := skimStruct(head, 0)
		if err != nil {
			if int64(len(head)) < to-from && window < 1<<20 {
				continue
			}
			return nil, 0, err
		}
		var header format.PageHeader
		if err := thrift.Unmarshal(&thrift.CompactProtocol{}, head[:used], &header); err != nil {
			return nil, 0, err
		}
		return &header, int64(used), nil
	}
	return nil, 0, errThriftCut
}

// one reads one page.
func (r *pageReader) one(header *format.PageHeader, body []byte, codec format.CompressionCodec, each func(*pageValues) error) error {
	p, err := pageOf(body, header, codec, r.optional)
	if err != nil {
		return err
	}
	if p.count < 0 || p.count > r.left && !p.dictionary || p.dictionary && p.count > mostRows {
		return errors.New("more values than rows")
	}
	if int64(header.UncompressedPageSize) > mostOf(p.count) {
		return fmt.Errorf("%d bytes for %d values: longer than a time or a number is", header.UncompressedPageSize, p.count)
	}
	values, err := r.unpack.unpack(&p)
	if err != nil {
		return err
	}
	if p.dictionary {
		if err := r.plain(&r.dict, values, int(p.count)); err != nil {
			return err
		}
		r.hasDict = true
		return nil
	}
	r.left -= p.count
	r.page.count = int(p.count)
	r.page.null = r.page.null[:0]
	present := int(p.count)
	if r.optional {
		levels := p.levelBytes
		if levels == nil {
			if len(values) < 4 {
				return errors.New("its levels are cut short")
			}
			n := int(binary.LittleEndian.Uint32(values))
			if n > len(values)-4 || n < 0 {
				return errors.New("its levels are cut short")
			}
			levels, values = values[4:4+n], values[4+n:]
		}
		if present, err = r.nulls(levels, int(p.count)); err != nil {
			return err
		}
	}
	if r.into != nil {
		r.page.floats = (*r.into)[len(*r.into):cap(*r.into)]
	}
	if err := r.decode(p.encoding, values, present); err != nil {
		return err
	}
	if present < r.page.count {
		r.page.spread()
	} else {
		r.page.null = r.page.null[:0]
	}
	return each(&r.page)
}

// nulls decodes the definition levels: which values are there, and how many.
func (r *pageReader) nulls(levels []byte, count int) (present int, err error) {
	if cap(r.page.null) < count {
		r.page.null = make([]bool, count)
	}
	r.page.null = r.page.null[:count]
	if r.index, err = decodeHybrid(r.index, levels, 1, count); err != nil {
		return 0, err
	}
	for i, level := range r.index {
		r.page.null[i] = level == 0
		present += int(level)
	}
	return present, nil
}

// decode decodes the values that are there.
func (r *pageReader) decode(encoding format.Encoding, values []byte, n int) error {
	switch encoding {
	case format.Plain:
		return r.plain(&r.page, values, n)
	case format.PlainDictionary, format.RLEDictionary: //nolint:staticcheck // files of format version 1 hold the first
		return r.lookUp(values, n)
	case format.ByteStreamSplit:
		return r.streams(values, n)
	case format.DeltaBinaryPacked:
		if err := guardDelta(values, n); err != nil {
			return err
		}
		return r.deltas(values, n)
	case format.DeltaLengthByteArray:
		if r.kind != parquet.ByteArray {
			break
		}
		if err := guardDelta(values, n); err != nil {
			return err
		}
		var err error
		r.page.bytes, r.page.offsets, err = new(delta.LengthByteArrayEncoding).DecodeByteArray(r.page.bytes[:0], values, r.page.offsets[:0])
		if err == nil && len(r.page.offsets) != n+1 {
			err = errValues
		}
		return err
	}
	return fmt.Errorf("encoding %s is not supported: use plain or dictionary", encoding)
}

var errValues = errors.New("has fewer or more values than it says")

// plain decodes values one after the other.
func (r *pageReader) plain(into *pageValues, b []byte, n int) error {
	into.width = r.width
	width := map[parquet.Kind]int{parquet.Int32: 4, parquet.Int64: 8, parquet.Float: 4, parquet.Double: 8, parquet.Int96: 12, parquet.FixedLenByteArray: r.width}[r.kind]
	if width > 0 {
		if len(b) < width*n {
			return errValues
		}
		b = b[:width*n]
	}
	switch r.kind {
	case parquet.Int32:
		into.ints = sized(into.ints, n)
		for i := range into.ints {
			into.ints[i] = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		}
	case parquet.Int64:
		into.ints = sized(into.ints, n)
		for i := range into.ints {
			into.ints[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		}
	case parquet.Float, parquet.Double:
		into.floats = sized(into.floats, n)
		floatsOf(into.floats, b, r.kind)
	case parquet.Int96:
		var err error
		into.int96, err = new(plain.Encoding).DecodeInt96(into.int96[:0], b)
		return err
	case parquet.FixedLenByteArray:
		into.bytes = append(into.bytes[:0], b...)
	case parquet.ByteArray:
		var err error
		into.bytes, into.offsets, err = new(plain.Encoding).DecodeByteArray(into.bytes[:0], b, sized(into.offsets, n+1)[:0])
		if err == nil && len(into.offsets) != n+1 {
			err = errValues
		}
		return err
	default:
		return fmt.Errorf("has type %s", r.kind)
	}
	return nil
}

// streams decodes values whose bytes stand apart.
func (r *pageReader) streams(b []byte, n int) error {
	e := new(bytestreamsplit.Encoding)
	var err error
	switch r.kind {
	case parquet.Double:
		if len(b) != 8*n {
			return errValues
		}
		r.page.floats, err = e.DecodeDouble(r.page.floats[:0], b)
	case parquet.Float:
		if len(b) != 4*n {
			return errValues
		}
		var single []float32
		single, err = e.DecodeFloat(nil, b)
		r.page.floats = sized(r.page.floats, len(single))
		for i, v := range single {
			r.page.floats[i] = float64(v)
		}
	case parquet.Int64:
		if len(b) != 8*n {
			return errValues
		}
		r.page.ints, err = e.DecodeInt64(r.page.ints[:0], b)
	default:
		return fmt.Errorf("encoding of type %s is not supported", r.kind)
	}
	return err
}

// deltas decodes whole numbers from their differences.
func (r *pageReader) deltas(b []byte, n int) error {
	e := new(delta.BinaryPackedEncoding)
	switch r.kind {
	case parquet.Int64:
		var err error
		if r.page.ints, err = e.DecodeInt64(r.page.ints[:0], b); err != nil {
			return err
		}
	case parquet.Int32:
		narrow, err := e.DecodeInt32(nil, b)
		if err != nil {
			return err
		}
		r.page.ints = sized(r.page.ints, len(narrow))
		for i, v := range narrow {
			r.page.ints[i] = int64(v)
		}
	default:
		return fmt.Errorf("encoding of type %s is not supported", r.kind)
	}
	if len(r.page.ints) != n {
		return errValues
	}
	return nil
}

func sized[T any](s []T, n int) []T {
	if s == nil || cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
