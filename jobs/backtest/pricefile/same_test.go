package pricefile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
)

// drawn are hourly bars with prices of two decimals, as rows of texts: time, open, high, low, close, volume.
func drawn(t *rapid.T) [][]string {
	n := rapid.IntRange(30, 80).Draw(t, "bars")
	at := time.Date(2024, 1, 2, 9, 0, 0, 0, time.UTC)
	rows := make([][]string, n)
	for i := range rows {
		low := rapid.IntRange(100, 200_000).Draw(t, "low")
		open, closes := low+rapid.IntRange(0, 500).Draw(t, "open"), low+rapid.IntRange(0, 500).Draw(t, "close")
		high := max(open, closes) + rapid.IntRange(0, 300).Draw(t, "high")
		price := func(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
		rows[i] = []string{
			at.Add(time.Duration(i) * time.Hour).Format("2006-01-02 15:04:05"), price(open), price(high), price(low), price(closes),
			strconv.Itoa(rapid.IntRange(0, 1_000_000).Draw(t, "volume")),
		}
	}
	return rows
}

// written is one way to write the rows, and the options that it needs.
func written(t *rapid.T, rows [][]string) ([]byte, pricefile.Options) {
	opts := pricefile.Options{Now: now, Jump: pricefile.JumpAny}
	delimiter := rapid.SampledFrom([]string{",", ";", "\t", "|"}).Draw(t, "delimiter")
	comma := delimiter != "," && rapid.Bool().Draw(t, "decimal comma")
	form := rapid.SampledFrom([]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05Z", "2006/01/02 15:04", "20060102 150405", "02.01.2006 15:04:05", "Jan 2 2006 15:04", "unix", "unixms"}).Draw(t, "times")
	columns := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "columns")
	names := [][]string{{"time", "Date", "timestamp", "Datetime"}, {"open", "Open", "OPEN", "<OPEN>"}, {"high", "High"}, {"low", "Low"}, {"close", "Close/Last", "last"}, {"volume", "Vol.", "Volume"}}
	rows = append([][]string(nil), rows...)
	switch rapid.SampledFrom([]string{"rising", "falling", "shuffled"}).Draw(t, "order") {
	case "falling":
		for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
			rows[i], rows[j] = rows[j], rows[i]
		}
	case "shuffled":
		rows = rapid.Permutation(rows).Draw(t, "rows")
		opts.Order = "sort"
	}
	var lines []string
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = rapid.SampledFrom(names[c]).Draw(t, "name")
	}
	lines = append(lines, strings.Join(head, delimiter))
	for _, row := range rows {
		fields := make([]string, len(columns))
		for i, c := range columns {
			fields[i] = row[c]
			if c == 0 {
				at, _ := time.Parse("2006-01-02 15:04:05", row[0])
				switch form {
				case "unix":
					fields[i] = strconv.FormatInt(at.Unix(), 10)
				case "unixms":
					fields[i] = strconv.FormatInt(at.UnixMilli(), 10)
				default:
					fields[i] = at.Format(form)
				}
			} else if comma {
				fields[i] = strings.ReplaceAll(row[c], ".", ",")
			}
		}
		lines = append(lines, strings.Join(fields, delimiter))
	}
	end := rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "line end")
	body := []byte(strings.Join(lines, end))
	if rapid.Bool().Draw(t, "last end") {
		body = append(body, end...)
	}
	switch rapid.SampledFrom([]string{"utf-8", "mark", "le", "be", "bare le"}).Draw(t, "encoding") {
	case "mark":
		body = append([]byte("\xEF\xBB\xBF"), body...)
	case "le":
		body = wideText(body, binary.LittleEndian, true)
	case "be":
		body = wideText(body, binary.BigEndian, true)
	case "bare le":
		body = wideText(body, binary.LittleEndian, false)
	}
	return packedAs(t, rapid.SampledFrom([]string{"none", "gzip", "zip", "zstd"}).Draw(t, "packing"), body), opts
}

func wideText(body []byte, order binary.AppendByteOrder, mark bool) []byte {
	var out []byte
	if mark {
		out = order.AppendUint16(out, 0xFEFF)
	}
	for _, c := range utf16.Encode([]rune(string(body))) {
		out = order.AppendUint16(out, c)
	}
	return out
}

func packedAs(t require.TestingT, packing string, body []byte) []byte {
	var out bytes.Buffer
	switch packing {
	case "none":
		return body
	case "gzip":
		z := gzip.NewWriter(&out)
		_, err := z.Write(body)
		require.NoError(t, err)
		require.NoError(t, z.Close())
	case "zip":
		z := zip.NewWriter(&out)
		w, err := z.Create("prices.csv")
		require.NoError(t, err)
		_, err = w.Write(body)
		require.NoError(t, err)
		require.NoError(t, z.Close())
	case "zstd":
		z, err := zstd.NewWriter(&out)
		require.NoError(t, err)
		_, err = z.Write(body)
		require.NoError(t, err)
		require.NoError(t, z.Close())
	}
	return out.Bytes()
}

// However the same bars are written, the stored content is the same.
func TestTheContentHashDoesNotDependOnHowAFileIsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := drawn(t)
		plain := "time,open,high,low,close,volume\n"
		for _, row := range rows {
			plain += strings.Join(row, ",") + "\n"
		}
		want, _, err := pricefile.ReadBytes([]byte(plain), pricefile.Options{Now: now, Jump: pricefile.JumpAny})
		require.NoError(t, err)
		file, opts := written(t, rows)
		got, _, err := pricefile.ReadBytes(file, opts)
		require.NoError(t, err)
		require.Equal(t, ohlcv.Sum(want), ohlcv.Sum(got))
	})
}

func TestPackedFilesThatAreCutOrBombsAreRefused(t *testing.T) {
	good := packedAs(t, "gzip", []byte(hourly("2024-01-02", "2024-01-03", "2024-01-04")))
	_, _, err := pricefile.ReadBytes(good[:len(good)-12], pricefile.Options{Now: now})
	require.ErrorContains(t, err, "gzip file is cut short")
	bombs := map[string][]byte{}
	for _, packing := range []string{"gzip", "zip", "zstd"} {
		bombs[packing] = packedAs(t, packing, bytes.Repeat([]byte("x"), 64<<20))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for packing, bomb := range bombs {
		_, _, err := pricefile.ReadBytes(bomb, pricefile.Options{Now: now})
		require.ErrorContains(t, err, "longer than", packing)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(hourly("2024-01-02", "2024-01-03")), "", "")
	f.Add([]byte("2024.01.02,00:00,2,3,1,2,10\n2024.01.03,00:00,2,3,1,2,10\n"), "UTC", "")
	f.Add([]byte("\xFF\xFEd\x00a\x00t\x00e\x00"), "", "dmy")
	f.Add([]byte("\"Date\";\"Price\";\"Open\";\"High\";\"Low\"\n01/02/2024;1,5;1,5;1,6;1,4\n"), "Europe/Berlin", "mdy")
	f.Add([]byte("Price,Close,High,Low,Open\nTicker,A,A,A,A\nDate,,,,\n2024-01-02,2,3,1,2\n"), "", "")
	f.Fuzz(func(t *testing.T, data []byte, zone, order string) {
		opts := pricefile.Options{Now: now}
		if opts.Set("time_zone", zone) != nil || opts.Set("date_order", order) != nil {
			return
		}
		bars, reading, err := pricefile.ReadBytes(data, opts)
		require.NotNil(t, reading)
		if err != nil {
			require.Less(t, len(err.Error()), 20_000)
			return
		}
		require.Positive(t, bars.Len())
		for i := range bars.Len() {
			require.False(t, math.IsNaN(bars.Close[i]))
		}
	})
}

// BenchmarkCSV reads a million minutes.
func BenchmarkCSV(b *testing.B) {
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 1_000_000, Interval: time.Minute})
	require.NoError(b, err)
	var file bytes.Buffer
	file.WriteString("time,open,high,low,close,volume\n")
	for i := range bars.Len() {
		fmt.Fprintf(&file, "%s,%.4f,%.4f,%.4f,%.4f,%.0f\n", time.UnixMicro(bars.Time[i]).UTC().Format("2006-01-02 15:04:05"),
			bars.Open[i], max(bars.High[i], bars.Open[i], bars.Close[i])+0.0001, bars.Low[i]-0.0002, bars.Close[i], bars.Volume[i])
	}
	readAgain(b, file.Bytes(), int64(file.Len()))
}

// readAgain reads a file of so many bytes again and again, and reports MB a second of CPU time too, which other load on the
// machine does not slow as much.
func readAgain(b *testing.B, file []byte, size int64) {
	b.Helper()
	b.SetBytes(size)
	began, files := cpuTime(b), 0
	for b.Loop() {
		_, _, err := pricefile.ReadBytes(file, pricefile.Options{})
		require.NoError(b, err)
		files++
	}
	b.ReportMetric(float64(size)*float64(files)/1e6/(cpuTime(b)-began).Seconds(), "MB/cpu-s")
}

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkParquet reads a million minutes; bytes are those of the six columns.
func BenchmarkParquet(b *testing.B) {
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 1_000_000, Interval: time.Minute})
	require.NoError(b, err)
	type row struct {
		Time                           int64 `parquet:"time,timestamp(microsecond)"`
		Open, High, Low, Close, Volume float64
	}
	rows := make([]row, bars.Len())
	for i := range rows {
		rows[i] = row{bars.Time[i], bars.Open[i], bars.High[i], bars.Low[i], bars.Close[i], bars.Volume[i]}
	}
	data := writeParquet(b, rows)
	readAgain(b, data, 48*int64(len(rows)))
}
