package pricefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"

	"millrace/jobs/backtest/ohlcv"
)

// The Parquet library allocates what a file's lengths claim before it reads what they describe.
// These limits and the walk below bound that.
const (
	maxFooter = 4 << 20 // bytes; a file of 10,000,000 bars has some 200 KB
	// valueBytes is more than any value of a column of bars takes: the longest is a time as text, of which
	// 64 bytes are read and which has its length before it. A page may unpack to that for each of its
	// values, and to pageBytes beside them.
	valueBytes = 72
	pageBytes  = 64 << 10
	maxPage    = 128 << 20 // bytes of one page, unpacked, whatever it holds
	mostRows   = ohlcv.MaxRows
)

// mostOf is how many bytes a page of so many values may unpack to.
func mostOf(values int64) int64 { return min(pageBytes+valueBytes*max(values, 0), maxPage) }

func malformed(what string, args ...any) error {
	return &RowError{Reason: "the Parquet file is malformed: " + fmt.Sprintf(what, args...)}
}

// guardFooter checks that the lengths in the footer can be true.
func guardFooter(src io.ReaderAt, size int64) error {
	const tail = 8
	var end [tail]byte
	if size >= 4+tail {
		if _, err := src.ReadAt(end[:], size-tail); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the file: %w", err)
		}
	}
	if string(end[4:]) != "PAR1" {
		return &RowError{Reason: "not a complete Parquet file, or an encrypted one"}
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	if length > size-4-tail {
		return malformed("its footer is longer than the file")
	}
	if length > maxFooter {
		return &RowError{Reason: fmt.Sprintf("the Parquet file's footer is over %d bytes: write it with larger row groups", maxFooter)}
	}
	footer := make([]byte, length)
	if _, err := src.ReadAt(footer, size-tail-length); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the file: %w", err)
	}
	if _, err := skimStruct(footer, 0); err != nil {
		return malformed("footer: %v", err)
	}
	return nil
}

// chunkBounds are where a chunk's pages lie in the file.
func chunkBounds(file int64, md *format.ColumnMetaData) (from, to int64, err error) {
	from = md.DataPageOffset
	if md.DictionaryPageOffset > 0 {
		from = min(from, md.DictionaryPageOffset)
	}
	size := md.TotalCompressedSize
	if from < 4 || size < 0 || from > file || size > file-from {
		return 0, 0, errors.New("lies outside the file")
	}
	return from, from + size, nil
}

// page is what the guard needs to know of one page.
type page struct {
	body       []byte // without the levels of a page of version 2
	codec      format.CompressionCodec
	encoding   format.Encoding
	count      int64
	dictionary bool
	levelBytes []byte // definition levels of a page of version 2
}

func pageOf(body []byte, header *format.PageHeader, codec format.CompressionCodec, optional bool) (page, error) {
	switch {
	case header.Type == format.DictionaryPage && header.DictionaryPageHeader.Valid:
		h := &header.DictionaryPageHeader.V
		return page{body: body, codec: codec, encoding: h.Encoding, count: int64(h.NumValues), dictionary: true}, nil
	case header.Type == format.DataPage && header.DataPageHeader.Valid:
		h := &header.DataPageHeader.V
		return page{body: body, codec: codec, encoding: h.Encoding, count: int64(h.NumValues)}, nil
	case header.Type == format.DataPageV2 && header.DataPageHeaderV2.Valid:
		h := &header.DataPageHeaderV2.V
		levels := int64(h.DefinitionLevelsByteLength) + int64(h.RepetitionLevelsByteLength)
		if h.DefinitionLevelsByteLength < 0 || h.RepetitionLevelsByteLength < 0 || levels > int64(len(body)) {
			return page{}, errors.New("impossible levels")
		}
		if h.IsCompressed.Valid && !h.IsCompressed.V {
			codec = format.Uncompressed
		}
		p := page{body: body[levels:], codec: codec, encoding: h.Encoding, count: int64(h.NumValues)}
		if optional {
			p.levelBytes = body[h.RepetitionLevelsByteLength:levels]
		}
		return p, nil
	}
	return page{}, fmt.Errorf("unknown type %s", header.Type)
}

// guardDelta checks the header of delta-encoded numbers: the sizes that the decoder allocates by.
func guardDelta(values []byte, count int) error {
	var total uint64
	for range 3 { // the block's size, its parts, the number of values
		n, used := binary.Uvarint(values)
		if used <= 0 {
			return errors.New("no delta header")
		}
		total, values = n, values[used:]
	}
	if total > uint64(count) {
		return errors.New("more values than rows")
	}
	return nil
}

// unpacker unpacks pages, keeping its decompressors and its memory.
type unpacker struct {
	buf  []byte
	zstd *zstd.Decoder
	gzip *gzip.Reader
	from bytes.Reader
}

// unpack returns the page's bytes, of which there are at most as many as its values may take.
func (u *unpacker) unpack(p *page) ([]byte, error) {
	most := mostOf(p.count)
	u.from.Reset(p.body)
	var from io.Reader
	var err error
	switch {
	case p.codec == format.Uncompressed || len(p.body) == 0:
		return p.body, nil
	case p.codec == format.Snappy:
		n, err := s2.DecodedLen(p.body)
		if err != nil || int64(n) > most || n > 32*len(p.body)+64 {
			return nil, errors.New("snappy data is malformed or too large")
		}
		u.buf, err = s2.Decode(u.buf[:cap(u.buf)], p.body)
		return u.buf, err
	case p.codec == format.Gzip:
		if u.gzip == nil {
			u.gzip = new(gzip.Reader)
		}
		from, err = u.gzip, u.gzip.Reset(&u.from)
	case p.codec == format.Zstd:
		if u.zstd == nil {
			u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(maxPage)))
		}
		if err == nil {
			from, err = u.zstd, u.zstd.Reset(&u.from)
		}
	default:
		return nil, fmt.Errorf("compression %s is not supported: use snappy, gzip or zstd", p.codec)
	}
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return u.drain(from, most)
}

// drain reads to the end, growing with what comes and not with what is claimed.
func (u *unpacker) drain(from io.Reader, most int64) ([]byte, error) {
	u.buf = u.buf[:0]
	for {
		if len(u.buf) == cap(u.buf) {
			u.buf = append(u.buf, make([]byte, max(64<<10, len(u.buf)/2))...)[:len(u.buf)]
		}
		n, err := from.Read(u.buf[len(u.buf):cap(u.buf)])
		u.buf = u.buf[:len(u.buf)+n]
		if int64(len(u.buf)) > most {
			return nil, fmt.Errorf("unpacks to more than %d bytes", most)
		}
		if errors.Is(err, io.EOF) {
			return u.buf, nil
		}
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
	}
}

func (u *unpacker) close() {
	if u.zstd != nil {
		u.zstd.Close()
	}
}
