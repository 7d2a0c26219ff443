package ohlcv

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

// longText is a page of one text of fifty megabytes, which zstd packs into a few kilobytes.
func longText(t *testing.T, dictionary bool, claimed int32) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	packed := z.EncodeAll(append([]byte{0, 0, 0x20, 3}, bytes.Repeat([]byte("2"), 50<<20)...), nil)
	require.NoError(t, z.Close())
	header := format.PageHeader{UncompressedPageSize: claimed, CompressedPageSize: int32(len(packed))}
	if dictionary {
		header.Type, header.DictionaryPageHeader.Valid = format.DictionaryPage, true
		header.DictionaryPageHeader.V = format.DictionaryPageHeader{NumValues: 1, Encoding: format.Plain}
	} else {
		header.Type, header.DataPageHeader.Valid = format.DataPage, true
		header.DataPageHeader.V = format.DataPageHeader{NumValues: 1, Encoding: format.Plain}
	}
	head, err := thrift.Marshal(&thrift.CompactProtocol{}, header)
	require.NoError(t, err)
	return append(head, packed...)
}

// A file of a few kilobytes can hold texts of fifty megabytes, which no time is.
func TestAPageOfLongTextsIsRefusedBeforeItIsUnpacked(t *testing.T) {
	for name, page := range map[string][]byte{
		"data page":                    longText(t, false, 50<<20),
		"dictionary page":              longText(t, true, 50<<20),
		"page that claims to be small": longText(t, false, 100),
	} {
		require.Less(t, len(page), 16<<10, name)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := guardPages(page, format.Zstd, false, 1)
		runtime.ReadMemStats(&after)
		require.Error(t, err, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20<<20), name)
	}
}
