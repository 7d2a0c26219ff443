package pricefile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/pricefile"
)

const ohlcvHeader = "date,open,high,low,close,volume"

// hourly are rows of an hour each with those times.
func hourly(times ...string) string {
	rows := []string{ohlcvHeader}
	for _, at := range times {
		rows = append(rows, at+",2,3,1,2,10")
	}
	return text(rows...)
}

func TestAGuessThatCouldBeWrongIsAQuestion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		file    string
		opts    pricefile.Options
		option  string
		choices []string
		answer  string
		bars    int
	}{
		{name: "day or month", file: hourly("01/02/2024", "02/02/2024", "03/02/2024"), option: "date_order", choices: []string{"dmy", "mdy"}, answer: "dmy", bars: 3},
		{name: "an hour that comes twice", file: hourly("2024-11-03 00:00", "2024-11-03 01:00", "2024-11-03 01:00", "2024-11-03 02:00"), option: "time_zone", answer: "America/New_York", bars: 4},
		{name: "half hours that come twice", file: hourly("2024-11-03 00:30", "2024-11-03 01:00", "2024-11-03 01:30", "2024-11-03 01:00", "2024-11-03 01:30", "2024-11-03 02:00"), option: "time_zone", answer: "America/New_York", bars: 6},
		{name: "EST", file: hourly("2024-01-02 09:30 EST", "2024-01-02 10:30 EST"), option: "time_zone", choices: []string{"America/New_York", "Etc/GMT+5"}, answer: "Etc/GMT+5", bars: 2},
		{name: "a broker's server", file: text("2024.01.02,16:30,2,3,1,2,10", "2024.01.02,17:30,2,3,1,2,10"), option: "time_zone", answer: "Europe/Athens", bars: 2},
		{name: "Excel serials", file: hourly("45293", "45294", "45295"), option: "time_format", choices: []string{"unix_s", "excel"}, answer: "excel", bars: 3},
		{name: "YYYYMMDD", file: hourly("20240102", "20240103", "20240104"), option: "time_format", choices: []string{"unix_s", "YYYYMMDD"}, answer: "YYYYMMDD", bars: 3},
		{name: "years", file: hourly("2021", "2022", "2023"), option: "time_format", answer: "YYYY", bars: 3},
		{name: "whole prices of 1e9", file: text(ohlcvHeader, "2024-01-02,187150000000,188440000000,183890000000,185640000000,1", "2024-01-03,187150000000,188440000000,183890000000,185640000000,1"), option: "price_scale", choices: []string{"1e-9", "1"}, answer: "1e-9", bars: 2},
		{name: "a decimal or a thousands mark", file: text("date;open;high;low;close", "2024-01-02;1.234;1.250;1.200;1.240", "2024-01-03;1.234;1.250;1.200;1.240"), option: "decimal", choices: []string{".", ","}, answer: ",", bars: 2},
		{name: "a decimal comma or a thousands mark", file: text("date;open;high;low;close", "2024-01-02;1,234;1,250;1,200;1,240", "2024-01-03;1,234;1,250;1,200;1,240"), option: "decimal", answer: ".", bars: 2},
		{name: "two symbols stacked", file: text("symbol,date,open,high,low,close", "A,2024-01-02,2,3,1,2", "A,2024-01-03,2,3,1,2", "B,2024-01-04,2,3,1,2", "B,2024-01-05,2,3,1,2"), option: "ticker", choices: []string{"A", "B"}, answer: "B", bars: 2},
		{name: "several tickers side by side", file: text("Price,Close,Close,High,High,Low,Low,Open,Open", "Ticker,A,B,A,B,A,B,A,B", "Date,,,,,,,,", "2024-01-02,2,2,3,3,1,1,2,2", "2024-01-03,2,2,3,3,1,1,2,2"), option: "ticker", choices: []string{"A", "B"}, answer: "A", bars: 2},
		{name: "two symbols stacked with times that rise", file: text(ohlcvHeader, "2024-01-02,4500,4600,4400,4500,1", "2024-01-03,4500,4600,4400,4500,1", "2024-01-04,30,31,29,30,1", "2024-01-05,30,31,29,30,1"), option: "jump", choices: []string{"any"}, answer: "any", bars: 4},
		{name: "a symbol on a smaller one", file: text(ohlcvHeader, "2024-01-02,30,31,29,30,1", "2024-01-03,4500,4600,4400,4500,1"), option: "jump", answer: "any", bars: 2},
		{name: "rows in no order", file: hourly("2024-01-02", "2024-01-04", "2024-01-03", "2024-01-05"), option: "order", choices: []string{"sort"}, answer: "sort", bars: 4},
		{name: "before 1950", file: hourly("1949-01-03", "1949-01-04"), option: "time_range", choices: []string{"any"}, answer: "any", bars: 2},
		{name: "in the future", file: hourly("2026-06-04", "2026-06-05"), option: "time_range", choices: []string{"any"}, answer: "any", bars: 2},
		{name: "two columns of one name", file: text("date,open,high,low,close,close", "2024-01-02,2,3,1,2,9", "2024-01-03,2,3,1,2,9"), option: "columns", answer: "close=5", bars: 2},
		{name: "columns of no known name", file: text("date,eroeffnung,hoch,tief,schluss", "2024-01-02,2,3,1,2", "2024-01-03,2,3,1,2"), option: "columns", answer: "open=eroeffnung,high=hoch,low=tief,close=schluss", bars: 2},
		{name: "no names and an unknown number of fields", file: text("2024-01-02,2,3,1,2,5,6,7,8,9", "2024-01-03,2,3,1,2,5,6,7,8,9"), option: "columns", answer: "time=1,open=2,high=3,low=4,close=5", bars: 2},
		{name: "no adjusted closes", file: hourly("2024-01-02", "2024-01-03"), opts: pricefile.Options{Adjust: "split_dividend"}, option: "adjust", answer: "none", bars: 2},
		{name: "another timeframe than the label", file: hourly("2024-01-02", "2024-01-03", "2024-01-04"), opts: pricefile.Options{Timeframe: "5m"}, option: "timeframe", choices: []string{"1d"}},
		{name: "distances of no timeframe", file: hourly("2024-01-02 00:00", "2024-01-02 00:07", "2024-01-02 00:14"), option: "timeframe"},
		{name: "a local time that the zone skips", file: hourly("2024-03-10 01:30", "2024-03-10 02:30"), opts: pricefile.Options{TimeZone: "America/New_York"}, option: "time_zone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.opts.Now = now
			_, _, err := pricefile.ReadBytes([]byte(tc.file), tc.opts)
			var asked *pricefile.QuestionError
			require.ErrorAs(t, err, &asked)
			require.Len(t, asked.Questions, 1)
			require.Equal(t, tc.option, asked.Questions[0].Option, "%v", err)
			require.NotEmpty(t, asked.Questions[0].Reason)
			if tc.choices != nil {
				require.Equal(t, tc.choices, asked.Questions[0].Choices)
			}
			if tc.answer == "" {
				return
			}
			require.Nil(t, tc.opts.Set(tc.option, tc.answer))
			bars, _, err := pricefile.ReadBytes([]byte(tc.file), tc.opts)
			require.NoError(t, err, "the answer is taken")
			require.Equal(t, tc.bars, bars.Len())
		})
	}
}

func TestWrongFilesAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	header := ohlcvHeader + "\n"
	long := strings.Repeat("9", 70_000)
	for _, tc := range []struct {
		name, file string
		row        int
		column     string
		reason     string
	}{
		{"empty", "", 0, "", "file is empty"},
		{"header only", header, 0, "", "no rows"},
		{"HTML", "<!DOCTYPE html><html><body>Too many requests</body></html>", 0, "", "HTML page"},
		{"JSON", `{"Note": "the limit of 5 calls a minute"}`, 0, "", "JSON"},
		{"binary", "\x7fELF\x00\x00\x01\x00\x00", 0, "", "not text"},
		{"prose", "Dear customer,\nwe are sorry.\n", 0, "", "not a table of prices"},
		{"not a number", header + "2020-01-01,1,3,1,2,10\n2020-01-02,1,3,x1,2,10\n", 3, "low", "is not a number"},
		{"hexadecimal", header + "2020-01-01,2,3,1,2,10\n2020-01-02,0x1p4,3,1,2,10\n", 3, "open", "is not a number"},
		{"out of range", header + "2020-01-01,1,3,1,1e999,10\n", 2, "close", "out of range"},
		{"some prices empty", header + "2020-01-01,2,3,1,2,10\n2020-01-02,1,3,,2,10\n", 3, "low", "is empty"},
		{"negative price", header + "2020-01-01,-1,3,1,2,10\n", 2, "open", "not a finite positive price"},
		{"zero price", header + "2020-01-01,1,3,0,2,10\n", 2, "low", "not a finite positive price"},
		{"zero price in a falling file", header + "2020-01-03,2,3,1,2,10\n2020-01-02,1,3,0,2,10\n2020-01-01,2,3,1,2,10\n", 3, "low", "not a finite positive price"},
		{"negative volume", header + "2020-01-01,1,3,1,2,-1\n", 2, "volume", "not a finite amount"},
		{"no such day", header + "2021-02-28,1,3,1,2,10\n2021-02-29,1,3,1,2,10\n", 3, "date", "not a day"},
		{"no time", header + "soon,1,3,1,2,10\n", 2, "date", "is not a time"},
		{"row numbers", "time,open,high,low,close\n0,2,3,1,2\n1,2,3,1,2\n2,2,3,1,2\n", 2, "time", "row numbers"},
		{"a time twice", header + "2020-01-01,1,3,1,2,10\n\n\n2020-01-01,1,3,1,2,10\n", 5, "date", "comes twice"},
		{"fields", header + "2020-01-01,1,3,1,2,10\n2020-01-02,1,3,1,2\n2020-01-03,1,3,1,2,10\n", 3, "", "has 5 fields"},
		{"another layout below", header + "2020-01-01,2,3,1,2,10\n1577923200,2,3,1,2,10\n", 3, "date", "mixes layouts"},
		{"the header again", header + "2020-01-01,2,3,1,2,10\n" + header + "2020-01-02,2,3,1,2,10\n", 3, "", "header again"},
		{"bare quote", header + "2020-01-01,2,3,1,2,10\n2020-01-02,1,3,1,\"2\"x,10\n", 3, "", "quote"},
		{"long line", header + "2020-01-01,2,3,1,2,10\n2020-01-02," + long + ",3,1,2,10\n", 3, "", "longer than"},
		{"a header without end", strings.Repeat("x", 3<<20), 1, "", "longer than"},
		{"high below low", header + "2020-01-01,2,3,1,2,10\n2020-01-02,2,1,3,2,10\n", 3, "", "above open or close"},
		{"days of both orders", "date,open,high,low,close\n13/01/2024,2,3,1,2\n01/14/2024,2,3,1,2\n", 0, "date", "mixes both"},
		{"an offset on some rows", header + "2020-01-01 00:00,2,3,1,2,10\n2020-01-01 01:00Z,2,3,1,2,10\n", 3, "date", "others have none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := pricefile.ReadBytes([]byte(tc.file), pricefile.Options{Now: now})
			var row *pricefile.RowError
			require.ErrorAs(t, err, &row)
			if tc.row > 0 {
				require.Equal(t, tc.row, row.Row, "%v", err)
			}
			if tc.column != "" {
				require.Equal(t, tc.column, row.Column, "%v", err)
			}
			require.Contains(t, row.Reason, tc.reason)
			require.Less(t, len(err.Error()), 400)
		})
	}
}

func TestDroppedRowsAreCounted(t *testing.T) {
	t.Parallel()
	file := text(ohlcvHeader, "2024-01-01,,,,,", "2024-01-02,2,3,1,2,10", "2024-01-03,NaN,NaN,NaN,NaN,0", "2024-01-04,2,3,1,2,10")
	bars, reading, err := pricefile.ReadBytes([]byte(file), pricefile.Options{Now: now})
	require.NoError(t, err)
	require.Equal(t, 2, bars.Len())
	require.Equal(t, []pricefile.Dropped{{Reason: "all prices are empty", Rows: 2, FirstRow: 2}}, reading.Dropped)
	require.Equal(t, 4, reading.Rows)
}

func TestATimeframeOfTheClosedSetIsFound(t *testing.T) {
	t.Parallel()
	for want, times := range map[string][]string{
		"1d": {"2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"},
		"1h": {"2024-01-02 10:00", "2024-01-02 11:00", "2024-01-02 12:00", "2024-01-03 10:00"},
		"1w": {"2024-01-05", "2024-01-12", "2024-01-19"}, "1mo": {"2024-01-31", "2024-02-29", "2024-03-28"}, "3mo": {"2023-12-31", "2024-03-31", "2024-06-30"},
		"1y": {"2021-12-31", "2022-12-31", "2023-12-31"}, "3d": {"2024-01-01", "2024-01-04", "2024-01-09", "2024-01-12", "2024-01-17"},
	} {
		_, reading, err := pricefile.ReadBytes([]byte(hourly(times...)), pricefile.Options{Now: now})
		require.NoError(t, err, want)
		require.EqualValues(t, want, reading.Timeframe)
	}
}
