package pricefile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
)

// now is the time of all tests.
var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// bar is an expected bar.
type bar struct {
	at                             string
	open, high, low, close, volume float64
}

// Our own synthetic prices: four days, and four hours.
var (
	days = []bar{
		{"2024-01-02T00:00:00Z", 187.15, 188.44, 183.89, 185.64, 82488700},
		{"2024-01-03T00:00:00Z", 184.22, 185.88, 183.43, 184.25, 58414500},
		{"2024-01-04T00:00:00Z", 182.15, 183.09, 180.88, 181.91, 71983600},
		{"2024-01-15T00:00:00Z", 181.99, 182.76, 180.17, 181.18, 62303300},
	}
	hours = []bar{
		{"2024-01-02T14:30:00Z", 187.15, 188.44, 183.89, 185.64, 824887},
		{"2024-01-02T15:30:00Z", 184.22, 185.88, 183.43, 184.25, 584145},
		{"2024-01-02T16:30:00Z", 182.15, 183.09, 180.88, 181.91, 719836},
		{"2024-01-02T17:30:00Z", 181.99, 182.76, 180.17, 181.18, 623033},
	}
)

func without(bars []bar, volume float64) []bar {
	out := append([]bar(nil), bars...)
	for i := range out {
		out[i].volume = volume
	}
	return out
}

func scaled(bars []bar, volume float64) []bar {
	out := append([]bar(nil), bars...)
	for i := range out {
		out[i].volume *= volume
	}
	return out
}

func requireBars(t *testing.T, want []bar, got *backtest.Bars) {
	t.Helper()
	require.Equal(t, len(want), got.Len())
	for i, w := range want {
		at, err := time.Parse(time.RFC3339Nano, w.at)
		require.NoError(t, err)
		require.Equal(t, at, time.UnixMicro(got.Time[i]).UTC(), "time of bar %d", i)
		require.Equal(t, []float64{w.open, w.high, w.low, w.close, w.volume},
			[]float64{got.Open[i], got.High[i], got.Low[i], got.Close[i], got.Volume[i]}, "bar %d", i)
	}
}

// text is a file of lines.
func text(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func TestVendorLayoutsAreReadUnedited(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		file   string
		layout string
		opts   pricefile.Options
		want   []bar
	}{
		{name: "plain", layout: "plain", want: days, file: text("time,open,high,low,close,volume",
			"2024-01-02,187.15,188.44,183.89,185.64,82488700", "2024-01-03,184.22,185.88,183.43,184.25,58414500",
			"2024-01-04,182.15,183.09,180.88,181.91,71983600", "2024-01-15,181.99,182.76,180.17,181.18,62303300")},
		{name: "yfinance flat", layout: "yahoo", want: days, file: text("Date,Open,High,Low,Close,Adj Close,Volume",
			"2024-01-02,187.15,188.44,183.89,185.64,92.82,82488700", "2024-01-03,184.22,185.88,183.43,184.25,92.125,58414500",
			"2024-01-04,182.15,183.09,180.88,181.91,90.955,71983600", "2024-01-15,181.99,182.76,180.17,181.18,90.59,62303300")},
		{name: "yfinance adjusted", layout: "yahoo", opts: pricefile.Options{Adjust: "split_dividend"}, file: text("Date,Open,High,Low,Close,Adj Close,Volume",
			"2024-01-02,187.15,188.44,183.89,185.64,92.82,82488700", "2024-01-03,184.22,185.88,183.43,184.25,92.125,58414500"),
			want: []bar{{"2024-01-02T00:00:00Z", 93.575, 94.22, 91.945, 92.82, 82488700}, {"2024-01-03T00:00:00Z", 92.11, 92.94, 91.715, 92.125, 58414500}}},
		{name: "yfinance multi-header", layout: "plain", want: days, file: text("Price,Close,High,Low,Open,Volume", "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL", "Date,,,,,",
			"2024-01-02,185.64,188.44,183.89,187.15,82488700", "2024-01-03,184.25,185.88,183.43,184.22,58414500",
			"2024-01-04,181.91,183.09,180.88,182.15,71983600", "2024-01-15,181.18,182.76,180.17,181.99,62303300")},
		{name: "yfinance multi-header of two tickers, one stated", layout: "plain", opts: pricefile.Options{Ticker: "MSFT"}, want: without(days, 0), file: text(
			"Price,Close,Close,High,High,Low,Low,Open,Open", "Ticker,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT", "Date,,,,,,,,",
			"2024-01-02,1,185.64,1,188.44,1,183.89,1,187.15", "2024-01-03,1,184.25,1,185.88,1,183.43,1,184.22",
			"2024-01-04,1,181.91,1,183.09,1,180.88,1,182.15", "2024-01-15,1,181.18,1,182.76,1,180.17,1,181.99")},
		{name: "yfinance Datetime with offsets", layout: "plain", want: hours, file: text("Datetime,Open,High,Low,Close,Volume",
			"2024-01-02 09:30:00-05:00,187.15,188.44,183.89,185.64,824887", "2024-01-02 10:30:00-05:00,184.22,185.88,183.43,184.25,584145",
			"2024-01-02 11:30:00-05:00,182.15,183.09,180.88,181.91,719836", "2024-01-02 12:30:00-05:00,181.99,182.76,180.17,181.18,623033")},
		{name: "pandas unnamed index", layout: "plain", want: days, file: text(",Open,High,Low,Close,Volume",
			"2024-01-02,187.15,188.44,183.89,185.64,82488700", "2024-01-03,184.22,185.88,183.43,184.25,58414500",
			"2024-01-04,182.15,183.09,180.88,181.91,71983600", "2024-01-15,181.99,182.76,180.17,181.18,62303300")},
		{name: "Stooq single", layout: "plain", want: days, file: text("Date,Open,High,Low,Close,Volume",
			"2024-01-02,187.15,188.44,183.89,185.64,82488700", "2024-01-03,184.22,185.88,183.43,184.25,58414500",
			"2024-01-04,182.15,183.09,180.88,181.91,71983600", "2024-01-15,181.99,182.76,180.17,181.18,62303300")},
		{name: "Stooq bulk daily", layout: "stooq", want: days, file: text("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
			"AAPL.US,D,20240102,000000,187.15,188.44,183.89,185.64,82488700,0", "AAPL.US,D,20240103,000000,184.22,185.88,183.43,184.25,58414500,0",
			"AAPL.US,D,20240104,000000,182.15,183.09,180.88,181.91,71983600,0", "AAPL.US,D,20240115,000000,181.99,182.76,180.17,181.18,62303300,0")},
		{name: "Stooq bulk hourly", layout: "stooq", want: hours, file: text("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
			"AAPL.US,60,20240102,143000,187.15,188.44,183.89,185.64,824887,0", "AAPL.US,60,20240102,153000,184.22,185.88,183.43,184.25,584145,0",
			"AAPL.US,60,20240102,163000,182.15,183.09,180.88,181.91,719836,0", "AAPL.US,60,20240102,173000,181.99,182.76,180.17,181.18,623033,0")},
		{name: "MetaTrader 4 daily", layout: "metatrader4", want: days, file: text(
			"2024.01.02,00:00,187.15,188.44,183.89,185.64,82488700", "2024.01.03,00:00,184.22,185.88,183.43,184.25,58414500",
			"2024.01.04,00:00,182.15,183.09,180.88,181.91,71983600", "2024.01.15,00:00,181.99,182.76,180.17,181.18,62303300")},
		{name: "MetaTrader 4 hourly, broker's zone stated", layout: "metatrader4", want: hours, opts: pricefile.Options{TimeZone: "Europe/Athens"}, file: text(
			"2024.01.02,16:30,187.15,188.44,183.89,185.64,824887", "2024.01.02,17:30,184.22,185.88,183.43,184.25,584145",
			"2024.01.02,18:30,182.15,183.09,180.88,181.91,719836", "2024.01.02,19:30,181.99,182.76,180.17,181.18,623033")},
		{name: "MetaTrader 5 daily", layout: "metatrader5", want: days, file: text("<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
			"2024.01.02\t187.15\t188.44\t183.89\t185.64\t82488700\t0\t1", "2024.01.03\t184.22\t185.88\t183.43\t184.25\t58414500\t0\t1",
			"2024.01.04\t182.15\t183.09\t180.88\t181.91\t71983600\t0\t1", "2024.01.15\t181.99\t182.76\t180.17\t181.18\t62303300\t0\t1")},
		{name: "MetaTrader 5 hourly", layout: "metatrader5", want: hours, opts: pricefile.Options{TimeZone: "UTC"}, file: text("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
			"2024.01.02\t14:30:00\t187.15\t188.44\t183.89\t185.64\t5\t824887\t1", "2024.01.02\t15:30:00\t184.22\t185.88\t183.43\t184.25\t5\t584145\t1",
			"2024.01.02\t16:30:00\t182.15\t183.09\t180.88\t181.91\t5\t719836\t1", "2024.01.02\t17:30:00\t181.99\t182.76\t180.17\t181.18\t5\t623033\t1")},
		{name: "Binance without header, ms", layout: "binance", want: hours, file: text(
			"1704205800000,187.15000000,188.44000000,183.89000000,185.64000000,824887.00000000,1704209399999,1.0,308,1.0,1.0,0",
			"1704209400000,184.22000000,185.88000000,183.43000000,184.25000000,584145.00000000,1704212999999,1.0,308,1.0,1.0,0",
			"1704213000000,182.15000000,183.09000000,180.88000000,181.91000000,719836.00000000,1704216599999,1.0,308,1.0,1.0,0",
			"1704216600000,181.99000000,182.76000000,180.17000000,181.18000000,623033.00000000,1704220199999,1.0,308,1.0,1.0,0")},
		{name: "Binance with header, µs", layout: "binance", want: hours, file: text(
			"open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
			"1704205800000000,187.15,188.44,183.89,185.64,824887,1704209399999999,1.0,308,1.0,1.0,0",
			"1704209400000000,184.22,185.88,183.43,184.25,584145,1704212999999999,1.0,308,1.0,1.0,0",
			"1704213000000000,182.15,183.09,180.88,181.91,719836,1704216599999999,1.0,308,1.0,1.0,0",
			"1704216600000000,181.99,182.76,180.17,181.18,623033,1704220199999999,1.0,308,1.0,1.0,0")},
		{name: "CryptoDataDownload", layout: "cryptodatadownload", want: hours, file: text("https://www.CryptoDataDownload.com",
			"unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
			"1704216600,2024-01-02 17:30:00,BTC/USD,181.99,182.76,180.17,181.18,623033,9", "1704213000,2024-01-02 16:30:00,BTC/USD,182.15,183.09,180.88,181.91,719836,9",
			"1704209400,2024-01-02 15:30:00,BTC/USD,184.22,185.88,183.43,184.25,584145,9", "1704205800,2024-01-02 14:30:00,BTC/USD,187.15,188.44,183.89,185.64,824887,9")},
		{name: "CryptoDataDownload, 12-hour dates", layout: "cryptodatadownload", file: text("https://www.CryptoDataDownload.com",
			"Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD",
			"2019-10-17 01-PM,BTCUSD,181.99,182.76,180.17,181.18,623033,9", "2019-10-17 12-PM,BTCUSD,182.15,183.09,180.88,181.91,719836,9",
			"2019-10-17 11-AM,BTCUSD,184.22,185.88,183.43,184.25,584145,9"),
			want: []bar{{"2019-10-17T11:00:00Z", 184.22, 185.88, 183.43, 184.25, 584145}, {"2019-10-17T12:00:00Z", 182.15, 183.09, 180.88, 181.91, 719836}, {"2019-10-17T13:00:00Z", 181.99, 182.76, 180.17, 181.18, 623033}}},
		{name: "Alpha Vantage adjusted", layout: "alphavantage", want: days, file: text("timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient",
			"2024-01-15,181.99,182.76,180.17,181.18,90.59,62303300,0.0000,1.0", "2024-01-04,182.15,183.09,180.88,181.91,90.955,71983600,0.0000,1.0",
			"2024-01-03,184.22,185.88,183.43,184.25,92.125,58414500,0.0000,1.0", "2024-01-02,187.15,188.44,183.89,185.64,92.82,82488700,0.0000,1.0")},
		{name: "Dukascopy Gmt time", layout: "dukascopy", want: hours, file: text("Gmt time,Open,High,Low,Close,Volume",
			"02.01.2024 14:30:00.000,187.15,188.44,183.89,185.64,824887", "02.01.2024 15:30:00.000,184.22,185.88,183.43,184.25,584145",
			"02.01.2024 16:30:00.000,182.15,183.09,180.88,181.91,719836", "02.01.2024 17:30:00.000,181.99,182.76,180.17,181.18,623033")},
		{name: "Dukascopy Local time", layout: "dukascopy", want: hours, file: text("Local time,Open,High,Low,Close,Volume",
			"02.01.2024 15:30:00.000 GMT+0100,187.15,188.44,183.89,185.64,824887", "02.01.2024 16:30:00.000 GMT+0100,184.22,185.88,183.43,184.25,584145",
			"02.01.2024 17:30:00.000 GMT+0100,182.15,183.09,180.88,181.91,719836", "02.01.2024 18:30:00.000 GMT+0100,181.99,182.76,180.17,181.18,623033")},
		{name: "Investing.com, m/d/Y", layout: "investing", want: scaled(without(days, 1230000), 1), file: text(`"Date","Price","Open","High","Low","Vol.","Change %"`,
			`"01/15/2024","181.18","181.99","182.76","180.17","1.23M","-0.40%"`, `"01/04/2024","181.91","182.15","183.09","180.88","1.23M","-1.27%"`,
			`"01/03/2024","184.25","184.22","185.88","183.43","1.23M","-0.75%"`, `"01/02/2024","185.64","187.15","188.44","183.89","1,230.00K","-3.58%"`)},
		{name: "Investing.com, decimal comma and thousands", layout: "investing", file: text(`"Date","Price","Open","High","Low","Vol.","Change %"`,
			`"31.01.2024","16.903,76","16.950,10","16.999,00","16.821,49","61,23M","-0,40%"`, `"30.01.2024","16.972,34","16.960,00","17.000,00","16.912,16","50,00M","0,18%"`),
			want: []bar{{"2024-01-30T00:00:00Z", 16960, 17000, 16912.16, 16972.34, 50e6}, {"2024-01-31T00:00:00Z", 16950.10, 16999, 16821.49, 16903.76, 61.23e6}}},
		{name: "Nasdaq", layout: "nasdaq", want: days, file: text("Date,Close/Last,Volume,Open,High,Low",
			"01/15/2024,$181.18,62303300,$181.99,$182.76,$180.17", "01/04/2024,$181.91,71983600,$182.15,$183.09,$180.88",
			"01/03/2024,$184.25,58414500,$184.22,$185.88,$183.43", "01/02/2024,$185.64,82488700,$187.15,$188.44,$183.89")},
		{name: "Databento, fixed point", layout: "databento", want: hours, file: text("ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume",
			"1704205800000000000,34,2,38,187150000000,188440000000,183890000000,185640000000,824887", "1704209400000000000,34,2,38,184220000000,185880000000,183430000000,184250000000,584145",
			"1704213000000000000,34,2,38,182150000000,183090000000,180880000000,181910000000,719836", "1704216600000000000,34,2,38,181990000000,182760000000,180170000000,181180000000,623033")},
		{name: "Databento, decimals and ISO times", layout: "databento", want: hours, file: text("ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol",
			"2024-01-02T14:30:00.000000000Z,34,2,38,187.150000000,188.440000000,183.890000000,185.640000000,824887,AAPL", "2024-01-02T15:30:00.000000000Z,34,2,38,184.220000000,185.880000000,183.430000000,184.250000000,584145,AAPL",
			"2024-01-02T16:30:00.000000000Z,34,2,38,182.150000000,183.090000000,180.880000000,181.910000000,719836,AAPL", "2024-01-02T17:30:00.000000000Z,34,2,38,181.990000000,182.760000000,180.170000000,181.180000000,623033,AAPL")},
		{name: "Polygon flat file", layout: "polygon", want: hours, file: text("ticker,volume,open,close,high,low,window_start,transactions",
			"AAPL,824887,187.15,185.64,188.44,183.89,1704205800000000000,9", "AAPL,584145,184.22,184.25,185.88,183.43,1704209400000000000,9",
			"AAPL,719836,182.15,181.91,183.09,180.88,1704213000000000000,9", "AAPL,623033,181.99,181.18,182.76,180.17,1704216600000000000,9")},
		{name: "Polygon flat file of two tickers, one stated", layout: "polygon", want: hours[:2], opts: pricefile.Options{Ticker: "AAPL"}, file: text("ticker,volume,open,close,high,low,window_start,transactions",
			"A,1,1,1,1,1,1704205800000000000,9", "AAPL,824887,187.15,185.64,188.44,183.89,1704205800000000000,9", "A,1,1,1,1,1,1704209400000000000,9", "AAPL,584145,184.22,184.25,185.88,183.43,1704209400000000000,9")},
		{name: "Kraken", layout: "kraken", want: hours, file: text("1704205800,187.15,188.44,183.89,185.64,824887,12", "1704209400,184.22,185.88,183.43,184.25,584145,12",
			"1704213000,182.15,183.09,180.88,181.91,719836,12", "1704216600,181.99,182.76,180.17,181.18,623033,12")},
		{name: "histdata", layout: "histdata", want: without(hours, 0), file: text("20240102 093000;187.15;188.44;183.89;185.64;0", "20240102 103000;184.22;185.88;183.43;184.25;0",
			"20240102 113000;182.15;183.09;180.88;181.91;0", "20240102 123000;181.99;182.76;180.17;181.18;0")},
		{name: "IBKR", layout: "ibkr", want: hours, opts: pricefile.Options{TimeZone: "America/New_York"}, file: text(",date,open,high,low,close,volume,average,barCount",
			"0,20240102  09:30:00,187.15,188.44,183.89,185.64,824887,1,1", "1,20240102  10:30:00,184.22,185.88,183.43,184.25,584145,1,1",
			"2,20240102  11:30:00,182.15,183.09,180.88,181.91,719836,1,1", "3,20240102  12:30:00,181.99,182.76,180.17,181.18,623033,1,1")},
		{name: "IBKR with a zone", layout: "plain", want: hours, file: text("date,open,high,low,close,volume",
			"20240102 09:30:00 US/Eastern,187.15,188.44,183.89,185.64,824887", "20240102 10:30:00 US/Eastern,184.22,185.88,183.43,184.25,584145",
			"20240102 11:30:00 US/Eastern,182.15,183.09,180.88,181.91,719836", "20240102 12:30:00 US/Eastern,181.99,182.76,180.17,181.18,623033")},
		{name: "TradingView, Unix", layout: "plain", want: hours, file: text("time,open,high,low,close,Volume", "1704205800,187.15,188.44,183.89,185.64,824887", "1704209400,184.22,185.88,183.43,184.25,584145",
			"1704213000,182.15,183.09,180.88,181.91,719836", "1704216600,181.99,182.76,180.17,181.18,623033")},
		{name: "TradingView, ISO", layout: "plain", want: hours, file: text("time,open,high,low,close,Volume", "2024-01-02T09:30:00-05:00,187.15,188.44,183.89,185.64,824887", "2024-01-02T10:30:00-05:00,184.22,185.88,183.43,184.25,584145",
			"2024-01-02T11:30:00-05:00,182.15,183.09,180.88,181.91,719836", "2024-01-02T12:30:00-05:00,181.99,182.76,180.17,181.18,623033")},
		{name: "separate columns, time first", layout: "plain", want: hours, file: text("Time,Date,Open,High,Low,Close,Volume", "14:30,01/02/2024,187.15,188.44,183.89,185.64,824887", "15:30,01/02/2024,184.22,185.88,183.43,184.25,584145",
			"16:30,01/02/2024,182.15,183.09,180.88,181.91,719836", "17:30,01/02/2024,181.99,182.76,180.17,181.18,623033"), opts: pricefile.Options{DateOrder: "mdy"}},
		{name: "d/m/Y that the file decides", layout: "plain", want: days, file: text("Date;Open;High;Low;Close;Volume", "02/01/2024;187,15;188,44;183,89;185,64;82488700", "03/01/2024;184,22;185,88;183,43;184,25;58414500",
			"04/01/2024;182,15;183,09;180,88;181,91;71983600", "15/01/2024;181,99;182,76;180,17;181,18;62303300")},
		{name: "named zones in brackets", layout: "plain", want: hours, file: text("time,open,high,low,close,volume", "2024-01-02T15:30:00+01:00[Europe/Berlin],187.15,188.44,183.89,185.64,824887", "2024-01-02T16:30:00+01:00[Europe/Berlin],184.22,185.88,183.43,184.25,584145",
			"2024-01-02T17:30:00+01:00[Europe/Berlin],182.15,183.09,180.88,181.91,719836", "2024-01-02T18:30:00+01:00[Europe/Berlin],181.99,182.76,180.17,181.18,623033")},
		{name: "named zone", layout: "plain", want: hours[:2], file: text("time,open,high,low,close,volume", "2024-01-02 09:30:00 America/New_York,187.15,188.44,183.89,185.64,824887", "2024-01-02 10:30:00 America/New_York,184.22,185.88,183.43,184.25,584145")},
		{name: "pipes", layout: "plain", want: days[:2], file: text("date|open|high|low|close|volume", "2024-01-02|187.15|188.44|183.89|185.64|82488700", "2024-01-03|184.22|185.88|183.43|184.25|58414500")},
		{name: "spaces", layout: "plain", want: hours[:2], file: text("date time open high low close volume", "2024-01-02 14:30 187.15 188.44 183.89 185.64 824887", "2024-01-02 15:30 184.22 185.88 183.43 184.25 584145")},
		{name: "holidays as empty rows", layout: "plain", want: days[:2], file: text("Date,Open,High,Low,Close,Volume", "2024-01-01,null,null,null,null,null", "2024-01-02,187.15,188.44,183.89,185.64,82488700", "2024-01-03,184.22,185.88,183.43,184.25,58414500", "2024-01-06,NaN,NaN,NaN,NaN,0", "2024-01-07,-,-,-,-,-")},
		{name: "Excel serials that the timeframe decides", layout: "plain", want: days, opts: pricefile.Options{Timeframe: "1d"}, file: text("Date,Open,High,Low,Close,Volume", "45293,187.15,188.44,183.89,185.64,82488700", "45294,184.22,185.88,183.43,184.25,58414500",
			"45295,182.15,183.09,180.88,181.91,71983600", "45306,181.99,182.76,180.17,181.18,62303300")},
		{name: "YYYYMMDDHHMM", layout: "plain", want: hours, opts: pricefile.Options{Timeframe: "1h"}, file: text("Date,Open,High,Low,Close,Volume", "202401021430,187.15,188.44,183.89,185.64,824887", "202401021530,184.22,185.88,183.43,184.25,584145",
			"202401021630,182.15,183.09,180.88,181.91,719836", "202401021730,181.99,182.76,180.17,181.18,623033")},
		{name: "YYYYMMDDHHMMSS", layout: "plain", want: hours[:2], file: text("Date,Open,High,Low,Close,Volume", "20240102143000,187.15,188.44,183.89,185.64,824887", "20240102153000,184.22,185.88,183.43,184.25,584145")},
		{name: "YYYYMMDD", layout: "plain", want: days, opts: pricefile.Options{Timeframe: "1d"}, file: text("Date,Open,High,Low,Close,Volume", "20240102,187.15,188.44,183.89,185.64,82488700", "20240103,184.22,185.88,183.43,184.25,58414500",
			"20240104,182.15,183.09,180.88,181.91,71983600", "20240115,181.99,182.76,180.17,181.18,62303300")},
		{name: "YYMMDD", layout: "plain", want: days, opts: pricefile.Options{Timeframe: "1d"}, file: text("Date,Open,High,Low,Close,Volume", "240102,187.15,188.44,183.89,185.64,82488700", "240103,184.22,185.88,183.43,184.25,58414500",
			"240104,182.15,183.09,180.88,181.91,71983600", "240115,181.99,182.76,180.17,181.18,62303300")},
		{name: "MATLAB datenum", layout: "plain", want: days, opts: pricefile.Options{Timeframe: "1d"}, file: text("Date,Open,High,Low,Close,Volume", "739253,187.15,188.44,183.89,185.64,82488700", "739254,184.22,185.88,183.43,184.25,58414500",
			"739255,182.15,183.09,180.88,181.91,71983600", "739266,181.99,182.76,180.17,181.18,62303300")},
		{name: "YYYYMM", layout: "plain", opts: pricefile.Options{Timeframe: "1mo"}, file: text("Date,Open,High,Low,Close", "202401,1,3,1,2", "202402,2,3,1,2", "202403,2,4,2,3"),
			want: []bar{{"2024-01-01T00:00:00Z", 1, 3, 1, 2, 0}, {"2024-02-01T00:00:00Z", 2, 3, 1, 2, 0}, {"2024-03-01T00:00:00Z", 2, 4, 2, 3, 0}}},
		{name: "years", layout: "plain", opts: pricefile.Options{Timeframe: "1y"}, file: text("Date,Open,High,Low,Close", "2021,1,3,1,2", "2022,2,3,1,2", "2023,2,4,2,3"),
			want: []bar{{"2021-01-01T00:00:00Z", 1, 3, 1, 2, 0}, {"2022-01-01T00:00:00Z", 2, 3, 1, 2, 0}, {"2023-01-01T00:00:00Z", 2, 4, 2, 3, 0}}},
		{name: "epoch ms before 1973", layout: "plain", file: text("time,open,high,low,close", "63072000000,1,3,1,2", "63158400000,2,3,1,2", "63244800000,2,4,2,3"),
			want: []bar{{"1972-01-01T00:00:00Z", 1, 3, 1, 2, 0}, {"1972-01-02T00:00:00Z", 2, 3, 1, 2, 0}, {"1972-01-03T00:00:00Z", 2, 4, 2, 3, 0}}},
		{name: "month names", layout: "plain", want: days[:2], file: text("Date,Open,High,Low,Close,Volume", `"Jan 02, 2024",187.15,188.44,183.89,185.64,"82,488,700"`, `"Jan 03, 2024",184.22,185.88,183.43,184.25,"58,414,500"`)},
		{name: "day, month name, year", layout: "plain", want: days[:2], file: text("Date,Open,High,Low,Close,Volume", "02-Jan-2024,187.15,188.44,183.89,185.64,82488700", "03-Jan-2024,184.22,185.88,183.43,184.25,58414500")},
		{name: "a last line of the vendor", layout: "plain", want: days[:2], file: text("Time,Open,High,Low,Last,Volume", "2024-01-02,187.15,188.44,183.89,185.64,82488700", "2024-01-03,184.22,185.88,183.43,184.25,58414500", `"Downloaded from a vendor as of 2024-01-04"`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.opts.Now = now
			got, reading, err := pricefile.ReadBytes([]byte(tc.file), tc.opts)
			require.NoError(t, err)
			requireBars(t, tc.want, got)
			require.Equal(t, tc.layout, reading.Layout)
			require.Equal(t, len(tc.want), reading.Bars)
		})
	}
}
