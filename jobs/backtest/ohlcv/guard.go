package ohlcv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The Parquet library allocates what a file's lengths claim before it reads what they describe.
// These limits and the walk below bound that.
const (
	maxFooter = 512 << 10 // bytes; a file of 5,000,000 bars has some 50 KB
	// valueBytes is more than any value of a column of bars takes: the longest is a time as text, of which
	// 64 bytes are read and which has its length before it. A page may unpack to that for each of its
	// values, and to pageBytes beside them.
	valueBytes = 72
	pageBytes  = 64 << 10
	maxPage    = 64 << 20 // bytes of one page, unpacked, whatever it holds
)

// mostOf is how many bytes a page of so many values may unpack to.
func mostOf(values int64) int64 { return min(pageBytes+valueBytes*max(values, 0), maxPage) }

func malformed(what string, args ...any) error {
	return &RowError{Reason: "the Parquet file is malformed: " + fmt.Sprintf(what, args...)}
}

// guardFooter checks that the lengths in the footer can be true.
func guardFooter(data []byte) error {
	const tail = 8
	if len(data) < 4+tail || string(data[:4]) != "PAR1" || string(data[len(data)-4:]) != "PAR1" {
		return &RowError{Reason: "not a complete Parquet file, or an encrypted one"}
	}
	size := uint64(binary.LittleEndian.Uint32(data[len(data)-tail:]))
	if size > uint64(len(data)-4-tail) {
		return malformed("its footer is longer than the file")
	}
	if size > maxFooter {
		return &RowError{Reason: fmt.Sprintf("the Parquet file's footer is over %d bytes: write it with larger row groups", maxFooter)}
	}
	footer := data[len(data)-tail-int(size) : len(data)-tail]
	if _, err := skimStruct(footer, 0); err != nil {
		return malformed("footer: %v", err)
	}
	return nil
}

// guardColumn walks the pages of a column and checks that they lie in the file, unpack to what
// they claim and hold no more values than the file has rows.
func guardColumn(data []byte, meta *format.FileMetaData, leaf *parquet.Column) error {
	left := meta.NumRows
	for g := range meta.RowGroups {
		chunks := meta.RowGroups[g].Columns
		if leaf.Index() >= len(chunks) {
			return malformed("row group %d lacks column %q", g, clip(leaf.Name()))
		}
		section, err := chunkSection(data, &chunks[leaf.Index()].MetaData)
		if err == nil {
			left, err = guardPages(section, chunks[leaf.Index()].MetaData.Codec, leaf.Optional(), left)
		}
		if err != nil {
			return &RowError{Column: clip(leaf.Name()), Reason: fmt.Sprintf("row group %d: %v", g, err)}
		}
	}
	return nil
}

func chunkSection(data []byte, md *format.ColumnMetaData) ([]byte, error) {
	from := md.DataPageOffset
	if md.DictionaryPageOffset != 0 {
		from = md.DictionaryPageOffset
	}
	size := md.TotalCompressedSize
	if from < 0 || size < 0 || from > int64(len(data)) || size > int64(len(data))-from {
		return nil, errors.New("lies outside the file")
	}
	if md.DataPageOffset < from || md.DataPageOffset > from+size {
		return nil, errors.New("its pages lie outside of it")
	}
	return data[from : from+size], nil
}

// guardPages checks every page of a chunk and returns how many of left values remain.
func guardPages(section []byte, codec format.CompressionCodec, optional bool, left int64) (int64, error) {
	for number := 0; len(section) > 0; number++ {
		used, err := skimStruct(section, 0)
		if err != nil {
			return 0, fmt.Errorf("page %d: %w", number, err)
		}
		var header format.PageHeader
		if err := thrift.Unmarshal(&thrift.CompactProtocol{}, section[:used], &header); err != nil {
			return 0, fmt.Errorf("page %d: %w", number, err)
		}
		section = section[used:]
		size := int64(header.CompressedPageSize)
		if size < 0 || size > int64(len(section)) || header.UncompressedPageSize < 0 {
			return 0, fmt.Errorf("page %d: impossible size", number)
		}
		p, err := pageOf(section[:size], &header, codec, optional)
		if err == nil && int64(header.UncompressedPageSize) > mostOf(p.count) {
			err = fmt.Errorf("%d bytes for %d values: longer than a time or a number is", header.UncompressedPageSize, p.count)
		}
		if err == nil {
			left, err = p.guard(left)
		}
		if err != nil {
			return 0, fmt.Errorf("page %d: %w", number, err)
		}
		section = section[size:]
	}
	return left, nil
}

// page is what the guard needs to know of one page.
type page struct {
	body       []byte // without the levels of a page of version 2
	codec      format.CompressionCodec
	encoding   format.Encoding
	count      int64
	dictionary bool
	levels     bool // definition levels stand before the values
}

func pageOf(body []byte, header *format.PageHeader, codec format.CompressionCodec, optional bool) (page, error) {
	switch {
	case header.Type == format.DictionaryPage && header.DictionaryPageHeader.Valid:
		h := &header.DictionaryPageHeader.V
		return page{body: body, codec: codec, encoding: h.Encoding, count: int64(h.NumValues), dictionary: true}, nil
	case header.Type == format.DataPage && header.DataPageHeader.Valid:
		h := &header.DataPageHeader.V
		return page{body: body, codec: codec, encoding: h.Encoding, count: int64(h.NumValues), levels: optional}, nil
	case header.Type == format.DataPageV2 && header.DataPageHeaderV2.Valid:
		h := &header.DataPageHeaderV2.V
		levels := int64(h.DefinitionLevelsByteLength) + int64(h.RepetitionLevelsByteLength)
		if h.DefinitionLevelsByteLength < 0 || h.RepetitionLevelsByteLength < 0 || levels > int64(len(body)) {
			return page{}, errors.New("impossible levels")
		}
		if h.IsCompressed.Valid && !h.IsCompressed.V {
			codec = format.Uncompressed
		}
		return page{body: body[levels:], codec: codec, encoding: h.Encoding, count: int64(h.NumValues)}, nil
	}
	return page{}, fmt.Errorf("unknown type %s", header.Type)
}

// guard checks one page and returns how many of left values remain after it.
func (p *page) guard(left int64) (int64, error) {
	if p.count < 0 || p.count > MaxRows || !p.dictionary && p.count > left {
		return 0, errors.New("more values than rows")
	}
	values, err := p.unpack()
	if err != nil {
		return 0, err
	}
	switch p.encoding {
	//nolint:staticcheck // deprecated for writers; files of format version 1 still hold it
	case format.Plain, format.PlainDictionary, format.RLEDictionary, format.ByteStreamSplit:
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		if err := p.guardDelta(values); err != nil {
			return 0, err
		}
	default:
		return 0, fmt.Errorf("encoding %s is not supported: use plain or dictionary", p.encoding)
	}
	if p.dictionary {
		return left, nil
	}
	return left - p.count, nil
}

// guardDelta checks the header of delta-encoded integers: the sizes that the decoder allocates by.
func (p *page) guardDelta(values []byte) error {
	if p.levels && len(values) > 4 {
		n := binary.LittleEndian.Uint32(values)
		values = values[4:]
		values = values[min(uint64(n), uint64(len(values))):]
	}
	var total uint64
	for range 3 { // the block's size, its parts, the number of values
		n, used := binary.Uvarint(values)
		if used <= 0 {
			return errors.New("no delta header")
		}
		total, values = n, values[used:]
	}
	if total > uint64(p.count) {
		return errors.New("more values than rows")
	}
	return nil
}

// unpack returns the page's bytes, of which there are at most as many as its values may take.
func (p *page) unpack() ([]byte, error) {
	most := mostOf(p.count)
	var unpacked io.Reader
	switch {
	case p.codec == format.Uncompressed || len(p.body) == 0:
		return p.body, nil
	case p.codec == format.Snappy:
		n, err := s2.DecodedLen(p.body)
		if err != nil || int64(n) > most || n > 32*len(p.body)+64 {
			return nil, errors.New("snappy data is malformed or too large")
		}
		return s2.Decode(nil, p.body)
	case p.codec == format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(p.body))
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		unpacked = z
	case p.codec == format.Zstd:
		z, err := zstd.NewReader(bytes.NewReader(p.body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(max(most, 1<<20))))
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		defer z.Close()
		unpacked = z
	default:
		return nil, fmt.Errorf("compression %s is not supported: use snappy, gzip or zstd", p.codec)
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(unpacked, most+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if n > most {
		return nil, fmt.Errorf("unpacks to more than %d bytes", most)
	}
	return out.Bytes(), nil
}
