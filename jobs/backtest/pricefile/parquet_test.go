package pricefile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/pricefile"
)

func writeParquet[T any](t testing.TB, rows []T, opts ...parquet.WriterOption) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[T](&buf, opts...)
	_, err := w.Write(rows)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

type stampRow struct {
	Timestamp time.Time `parquet:"Timestamp,timestamp(microsecond)"`
	Open      float64   `parquet:"OPEN"`
	High      float64   `parquet:"high"`
	Low       float64   `parquet:"low"`
	Close     float64   `parquet:"close"`
	Volume    *int64    `parquet:"volume,optional"`
	Note      string    `parquet:"note"`
}

func stampRows(t testing.TB) []stampRow {
	b, err := pricefile.Sample()
	require.NoError(t, err)
	rows := make([]stampRow, b.Len())
	for i := range rows {
		volume := int64(b.Volume[i])
		rows[i] = stampRow{time.UnixMicro(b.Time[i]), b.Open[i], b.High[i], b.Low[i], b.Close[i], &volume, "x"}
	}
	return rows
}

// A CSV and a Parquet file of the same bars are the same dataset.
func TestReadParquetSample(t *testing.T) {
	t.Parallel()
	want, err := pricefile.Sample()
	require.NoError(t, err)
	rows := stampRows(t)
	for name, codec := range map[string]compress.Codec{
		"uncompressed": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd,
	} {
		for _, version := range []int{1, 2} {
			data := writeParquet(t, rows, parquet.Compression(codec), parquet.DataPageVersion(version),
				parquet.PageBufferSize(4096), parquet.MaxRowsPerRowGroup(2000))
			got, _, err := pricefile.ReadBytes(data, pricefile.Options{})
			require.NoError(t, err, "%s, pages of version %d", name, version)
			require.Equal(t, want, got)
		}
	}
	rows[3].Volume = nil
	got, _, err := pricefile.ReadBytes(writeParquet(t, rows), pricefile.Options{})
	require.NoError(t, err)
	require.Zero(t, got.Volume[3], "a null volume is zero")
}

func TestReadParquetTimes(t *testing.T) {
	t.Parallel()
	type prices struct {
		Open  float32 `parquet:"open"`
		High  int32   `parquet:"high"`
		Low   int64   `parquet:"low,decimal(2:10)"`
		Close float64 `parquet:"close,dict"`
	}
	p := prices{Open: 1.5, High: 3, Low: 125, Close: 2}
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	day := time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		data []byte
		want time.Time
	}{
		"milliseconds": {writeParquet(t, []struct {
			T time.Time `parquet:"time,timestamp(millisecond)"`
			prices
		}{{at, p}}), at},
		"nanoseconds": {writeParquet(t, []struct {
			T time.Time `parquet:"time,timestamp(nanosecond)"`
			prices
		}{{at, p}}), at},
		"date": {writeParquet(t, []struct {
			T int32 `parquet:"date,date"`
			prices
		}{{18263, p}}), day},
		"unix": {writeParquet(t, []struct {
			T int64 `parquet:"time"`
			prices
		}{{at.Unix(), p}}), at},
		"text": {writeParquet(t, []struct {
			T string `parquet:"time"`
			prices
		}{{"2020-01-02T05:04:05+02:00", p}}), at},
		"INT96": {writeParquet(t, []struct {
			T deprecated.Int96 `parquet:"time"`
			prices
		}{{int96(at), p}}), at},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, err := pricefile.ReadBytes(tc.data, pricefile.Options{TimeFormat: "unix_s", Timeframe: "1d"})
			require.NoError(t, err)
			require.Equal(t, []int64{tc.want.UnixMicro()}, b.Time)
			require.Equal(t, 1.5, b.Open[0])
			require.Equal(t, 3.0, b.High[0])
			require.Equal(t, 1.25, b.Low[0])
			require.Equal(t, 2.0, b.Close[0])
			require.Zero(t, b.Volume[0])
		})
	}
}

func int96(at time.Time) deprecated.Int96 {
	day := at.Unix() / 86400
	nanos := uint64(at.UnixNano() - day*86400*1e9)
	return deprecated.Int96{uint32(nanos), uint32(nanos >> 32), uint32(day + 2_440_588)}
}

func TestReadParquetRejects(t *testing.T) {
	t.Parallel()
	rows := stampRows(t)[:10]
	good := writeParquet(t, rows)
	wrong := func(change func(r []stampRow)) []byte {
		r := append([]stampRow(nil), rows...)
		change(r)
		return writeParquet(t, r)
	}
	footer := bytes.Clone(good)
	binary.LittleEndian.PutUint32(footer[len(footer)-8:], 1<<30)
	for name, tc := range map[string]struct {
		data   []byte
		row    int
		column string
		reason string
	}{
		"empty":          {nil, 0, "", "file is empty"},
		"cut":            {good[:len(good)-20], 0, "", "not a complete Parquet"},
		"long footer":    {footer, 0, "", "footer is longer"},
		"no rows":        {writeParquet(t, []stampRow{}), 0, "", "no rows"},
		"price":          {wrong(func(r []stampRow) { r[4].Open = -1 }), 5, "OPEN", ""},
		"repeated time":  {wrong(func(r []stampRow) { r[7].Timestamp = r[6].Timestamp }), 8, "Timestamp", ""},
		"brotli":         {writeParquet(t, rows, parquet.Compression(&parquet.Brotli)), 0, "Timestamp", "not supported"},
		"text in number": {writeParquet(t, []struct{ Time, Open, High, Low, Close string }{{"2020-01-01", "1", "1", "1", "1"}}), 0, "Open", "not a number"},
		"text in time":   {writeParquet(t, []textRow{{"then", 1, 1, 1, 1}}), 1, "Time", "is not a time"},
		"null price": {writeParquet(t, []struct {
			Time            string
			Open, High, Low float64
			Close           *float64 `parquet:"Close,optional"`
		}{{Time: "2020-01-01", Open: 1, High: 1, Low: 1}}), 1, "Close", "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := pricefile.ReadBytes(tc.data, pricefile.Options{})
			var row *pricefile.RowError
			require.ErrorAs(t, err, &row)
			require.Equal(t, tc.row, row.Row, "%v", err)
			require.Equal(t, tc.column, row.Column, "%v", err)
			require.Contains(t, row.Reason, tc.reason)
		})
	}
}

type textRow struct {
	Time                   string
	Open, High, Low, Close float64
}

// A small file that unpacks to gigabytes is refused before it is unpacked into memory.
func TestReadParquetBomb(t *testing.T) {
	data := writeParquet(t, []textRow{{"2020-01-01" + strings.Repeat(" ", 200<<20), 1, 1, 1, 1}}, parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(false), parquet.ColumnIndexSizeLimit(func([]string) int { return 16 }))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := pricefile.ReadBytes(data, pricefile.Options{})
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
}

// Damaged files are read or refused, but do no harm. The damage is seeded, so a failure repeats.
func TestReadParquetDamaged(t *testing.T) {
	t.Parallel()
	rows := stampRows(t)[:20]
	files := [][]byte{
		writeParquet(t, rows), writeParquet(t, rows, parquet.Compression(&parquet.Zstd)),
		writeParquet(t, []textRow{{"2020-01-01", 1, 1, 1, 1}, {"2020-01-02", 1, 1, 1, 1}}, parquet.DataPageVersion(2)),
	}
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 2000 {
		data := bytes.Clone(files[rng.IntN(len(files))])
		for range 1 + rng.IntN(4) {
			data[rng.IntN(len(data))] = byte(rng.Uint32())
		}
		if _, _, err := pricefile.ReadBytes(data, pricefile.Options{}); err != nil {
			refused++
			var row *pricefile.RowError
			var asked *pricefile.QuestionError
			require.True(t, errors.As(err, &row) || errors.As(err, &asked), "%v", err)
		}
	}
	require.Greater(t, refused, 400)
}

func FuzzReadParquet(f *testing.F) {
	rows := stampRows(f)[:20]
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip} {
		f.Add(writeParquet(f, rows, parquet.Compression(codec)))
	}
	f.Add(writeParquet(f, []textRow{{"2020-01-01", 1, 1, 1, 1}, {"2020-01-02", 1, 1, 1, 1}}, parquet.DataPageVersion(2)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, _, err := pricefile.ReadBytes(data, pricefile.Options{})
		if err != nil {
			var row *pricefile.RowError
			var asked *pricefile.QuestionError
			require.True(t, errors.As(err, &row) || errors.As(err, &asked), "%v", err)
			return
		}
		require.Positive(t, b.Len())
	})
}
