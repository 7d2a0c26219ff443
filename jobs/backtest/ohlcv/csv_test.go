package ohlcv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest/ohlcv"
)

const header = "time,open,high,low,close,volume\n"

func TestReadCSVForms(t *testing.T) {
	t.Parallel()
	day := func(d int) int64 { return time.Date(2020, 1, d, 0, 0, 0, 0, time.UTC).UnixMicro() }
	for name, text := range map[string]string{
		"plain":              header + "2020-01-01,1,3,1,2,10\n2020-01-02,2,3,1,2,20\n",
		"any case and order": "CLOSE,Volume,Adj Close,Low,HIGH,open,Date\n2,10,9,1,3,1,2020-01-01\n2,20,9,1,3,2,2020-01-02\n",
		"semicolons":         "date;open;high;low;close;volume\n2020-01-01;1;3;1;2;10\n2020-01-02;2;3;1;2;20\n",
		"tabs":               "timestamp\topen\thigh\tlow\tclose\tvolume\n2020-01-01\t1\t3\t1\t2\t10\n2020-01-02\t2\t3\t1\t2\t20\n",
		"mark, CRLF, quotes": "\xEF\xBB\xBF\"time\", open,high,low,close,volume\r\n\"2020-01-01\", 1.0,3e0,1,2,10\r\n\r\n2020-01-02,2,3,1,2,20",
		"zones":              header + "2020-01-01T02:00:00+02:00,1,3,1,2,10\n2020-01-01 19:00:00-05:00,2,3,1,2,20\n",
		"unix":               header + "1577836800,1,3,1,2,10\n1577923200000,2,3,1,2,20\n",
		"month names":        header + "Jan 1 2020,1,3,1,2,10\n\"Jan 2, 2020\",2,3,1,2,20\n",
	} {
		t.Run(name, func(t *testing.T) {
			b, err := ohlcv.ReadCSV(iotest.OneByteReader(strings.NewReader(text)))
			require.NoError(t, err)
			require.Equal(t, []int64{day(1), day(2)}, b.Time)
			require.Equal(t, []float64{1, 2}, b.Open)
			require.Equal(t, []float64{3, 3}, b.High)
			require.Equal(t, []float64{1, 1}, b.Low)
			require.Equal(t, []float64{2, 2}, b.Close)
			require.Equal(t, []float64{10, 20}, b.Volume)
		})
	}
}

func TestReadCSVWithoutVolume(t *testing.T) {
	t.Parallel()
	b, err := ohlcv.ReadCSV(strings.NewReader("date,open,high,low,close\n2020-01-01,1,3,1,2\n"))
	require.NoError(t, err)
	require.Equal(t, []float64{0}, b.Volume)
}

func TestReadCSVRejects(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 70_000)
	for name, tc := range map[string]struct {
		text   string
		row    int
		column string
		reason string
	}{
		"empty":            {"", 0, "", "file is empty"},
		"header only":      {header, 0, "", "no rows"},
		"missing columns":  {"time,open,low\n", 1, "", `missing columns high, close; the file has "time", "open", "low"`},
		"two times":        {"date,time,open,high,low,close\n", 1, "time", `second column for the time: the first is "date"`},
		"not a number":     {header + "2020-01-01,1,3,1,2,10\n2020-01-02,1,3,x1,2,10\n", 3, "low", "is not a number"},
		"hexadecimal":      {header + "2020-01-01,0x1p4,3,1,2,10\n", 2, "open", "is not a number"},
		"NaN":              {header + "2020-01-01,1,3,1,NaN,10\n", 2, "close", "is not a number"},
		"out of range":     {header + "2020-01-01,1,3,1,1e999,10\n", 2, "close", "out of range"},
		"empty price":      {"Date,Open,High,Low,Close\n2020-01-01,1,3,,2\n", 2, "Low", "is empty"},
		"negative price":   {header + "2020-01-01,-1,3,1,2,10\n", 2, "open", ""},
		"zero price":       {header + "2020-01-01,1,3,0,2,10\n", 2, "low", ""},
		"negative volume":  {header + "2020-01-01,1,3,1,2,-1\n", 2, "volume", ""},
		"not a time":       {header + "soon,1,3,1,2,10\n", 2, "time", "is not a time"},
		"no such day":      {header + "2021-02-29,1,3,1,2,10\n", 2, "time", "not a day"},
		"compact date":     {header + "20200101,1,3,1,2,10\n", 2, "time", "may be a date"},
		"repeated time":    {header + "2020-01-01,1,3,1,2,10\n\n\n2020-01-01,1,3,1,2,10\n", 5, "time", ""},
		"time runs back":   {header + "2020-01-02,1,3,1,2,10\n2020-01-01,1,3,1,2,10\n", 3, "time", ""},
		"fields":           {header + "2020-01-01,1,3,1,2\n", 2, "", "does not have the 6 fields"},
		"bare quote":       {header + "2020-01-01,1,3,1,\"2\"x,10\n", 2, "", "quote"},
		"long line":        {header + "2020-01-01," + long + ",3,1,2,10\n", 2, "", "longer than"},
		"long line, early": {long, 1, "", "longer than"},
		"high below low":   {header + "2020-01-01,1,3,1,2,10\n2020-01-02,2,1,3,2,10\n", 3, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ohlcv.ReadCSV(strings.NewReader(tc.text))
			var row *ohlcv.RowError
			require.ErrorAs(t, err, &row)
			require.Equal(t, tc.row, row.Row, "%v", err)
			if tc.column != "" {
				require.Equal(t, tc.column, row.Column, "%v", err)
			}
			require.Contains(t, row.Reason, tc.reason)
			require.Less(t, len(err.Error()), 300)
		})
	}
}

func TestReadCSVTooManyRows(t *testing.T) {
	t.Parallel()
	line := func(i int) string { return fmt.Sprintf("%d,1,1,1,1\n", i) }
	r, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, "time,open,high,low,close\n")
		for i := 0; err == nil && i <= ohlcv.MaxRows; i += 1000 {
			var block strings.Builder
			for j := range 1000 {
				block.WriteString(line(i + j))
			}
			_, err = io.WriteString(w, block.String())
		}
		w.CloseWithError(err)
	}()
	_, err := ohlcv.ReadCSV(r)
	require.NoError(t, r.Close())
	var row *ohlcv.RowError
	require.ErrorAs(t, err, &row)
	require.Equal(t, ohlcv.MaxRows+2, row.Row)
}

func TestReadCSVSourceError(t *testing.T) {
	t.Parallel()
	broken := errors.New("source failed")
	_, err := ohlcv.ReadCSV(io.MultiReader(strings.NewReader(header+"2020-01-01,1,3"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	var row *ohlcv.RowError
	require.False(t, errors.As(err, &row), "the file is not to blame")
}

func TestCSVRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := anyBars(t)
		var text bytes.Buffer
		require.NoError(t, ohlcv.WriteCSV(&text, b))
		back, err := ohlcv.ReadCSV(&text)
		require.NoError(t, err)
		require.Equal(t, b, back)
	})
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte(header + "2020-01-01,1,3,1,2,10\n2020-01-02 10:00:00+02:00,2,3,1,2,20\n"))
	f.Add([]byte("\xEF\xBB\xBFdate;open;high;low;close\nJan 1 2000;1;1;1;1\n1577836800000;1;2;1;\"2\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ohlcv.ReadCSV(bytes.NewReader(data))
		if err != nil {
			var row *ohlcv.RowError
			require.ErrorAs(t, err, &row)
			return
		}
		var text bytes.Buffer
		require.NoError(t, ohlcv.WriteCSV(&text, b))
		back, err := ohlcv.ReadCSV(&text)
		require.NoError(t, err)
		require.Equal(t, b, back)
	})
}
