package pricefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zip"
	"github.com/klauspost/compress/zstd"
)

// maxText is the most bytes that a file may unpack to.
const maxText = 4 << 30

var parquetMagic = []byte("PAR1")

// unpack opens the file's text and says how it was packed. Its Close frees the decompressor.
func unpack(src io.ReaderAt, size int64) (io.ReadCloser, string, error) {
	magic := make([]byte, 4)
	n, err := src.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("read the file: %w", err)
	}
	magic = magic[:n]
	whole := io.NewSectionReader(src, 0, size)
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(whole)
		if err != nil {
			return nil, "", fileError("the gzip file is malformed: %v", err)
		}
		return &packed{r: z, close: z.Close, form: "gzip"}, "gzip", nil
	case bytes.HasPrefix(magic, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(whole, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, "", fmt.Errorf("start zstd: %w", err)
		}
		return &packed{r: z, close: func() error { z.Close(); return nil }, form: "zstd"}, "zstd", nil
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")) || bytes.HasPrefix(magic, []byte("PK\x05\x06")):
		z, err := openZip(src, size)
		return z, "zip", err
	case bytes.HasPrefix(magic, []byte("BZh")):
		return nil, "", fileError("the file is packed by bzip2: use gzip, zip or zstd, or unpack it")
	}
	return io.NopCloser(whole), "none", nil
}

// openZip opens the one file of prices in an archive.
func openZip(src io.ReaderAt, size int64) (io.ReadCloser, error) {
	const most = 100 // files: the archive's library keeps all of their names
	if err := guardZip(src, size, most); err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(src, size)
	if err != nil {
		return nil, fileError("the zip file is malformed: %v", err)
	}
	var found []*zip.File
	for _, f := range archive.File {
		name := strings.ToLower(f.Name)
		switch {
		case strings.HasPrefix(name, "xl/"):
			return nil, fileError("the file is an Excel workbook: save the sheet as CSV")
		case strings.HasSuffix(name, "/") || strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(name, "__macosx/"):
		default:
			found = append(found, f)
		}
	}
	if len(found) > 1 { // vendors add a report or a licence
		var prices []*zip.File
		for _, f := range found {
			if strings.HasSuffix(strings.ToLower(f.Name), ".csv") {
				prices = append(prices, f)
			}
		}
		if len(prices) == 1 {
			found = prices
		}
	}
	if len(found) != 1 {
		return nil, fileError("the zip file holds %d files: send one with a single file of prices", len(found))
	}
	body, err := found[0].Open()
	if err != nil {
		return nil, fileError("the zip file cannot be unpacked: %v", err)
	}
	return &packed{r: body, close: body.Close, form: "zip"}, nil
}

// guardZip bounds the directory that the library reads into memory.
func guardZip(src io.ReaderAt, size int64, most int) error {
	tail := make([]byte, min(size, 66<<10))
	if _, err := src.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the file: %w", err)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < 22 {
		return fileError("the zip file is cut short")
	}
	files, directory := binary.LittleEndian.Uint16(tail[at+10:]), binary.LittleEndian.Uint32(tail[at+12:])
	if int(files) > most || directory > 64<<10 {
		return fileError("the zip file holds more than %d files: send one with a single file of prices", most)
	}
	return nil
}

// packed bounds what a packed file unpacks to, and says what is wrong with it in words.
type packed struct {
	r     io.Reader
	close func() error
	form  string
	read  int64
}

func (p *packed) Read(into []byte) (int, error) {
	n, err := p.r.Read(into)
	if p.read += int64(n); p.read > maxText {
		return 0, fileError("the %s file unpacks to more than %d bytes", p.form, int64(maxText))
	}
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, fileError("the %s file is cut short: send it again", p.form)
	}
	return n, fileError("the %s file is damaged: %v", p.form, err)
}

func (p *packed) Close() error { return p.close() }

// encodingOf finds the encoding of a text in its first bytes: its name, the length of its mark, and the
// order of bytes when it is UTF-16.
func encodingOf(head []byte) (name string, mark int, order binary.ByteOrder) {
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return "utf-8", 3, nil
	case bytes.HasPrefix(head, []byte("\xFF\xFE")):
		return "utf-16le", 2, binary.LittleEndian
	case bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return "utf-16be", 2, binary.BigEndian
	case len(head) >= 4 && head[0] != 0 && head[1] == 0 && head[2] != 0 && head[3] == 0:
		return "utf-16le", 0, binary.LittleEndian
	case len(head) >= 4 && head[0] == 0 && head[1] != 0 && head[2] == 0 && head[3] != 0:
		return "utf-16be", 0, binary.BigEndian
	}
	return "utf-8", 0, nil
}

// utf16Reader makes UTF-8 of UTF-16. Halves of pairs become the replacement character: no price has one.
type utf16Reader struct {
	r     io.Reader
	order binary.ByteOrder
	buf   [4096]byte
	have  int    // bytes of buf that are read and not decoded
	out   []byte // decoded and not returned
	err   error
}

func (u *utf16Reader) Read(into []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		n, err := u.r.Read(u.buf[u.have:])
		u.have += n
		u.err = err
		u.out = u.out[:0]
		even := u.have &^ 1
		for i := 0; i < even; i += 2 {
			u.out = utf8.AppendRune(u.out, rune(u.order.Uint16(u.buf[i:])))
		}
		copy(u.buf[:], u.buf[even:u.have])
		u.have -= even
	}
	n := copy(into, u.out)
	u.out = u.out[n:]
	return n, nil
}
