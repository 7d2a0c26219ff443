package pine_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"millrace/jobs/backtest"
)

// casesVariable names the folder of laid-out cases: cases/<id>/{strategy.pine,trades.csv,case.json} and
// bars/eth15m.csv. They come from the public repository pineforge-4pass/pineforge-corpus; neither the scripts nor
// the lists of trades are part of this one.
const casesVariable = "MILLRACE_PINE_CASES"

// parityCase is one script with the platform's list of trades.
type parityCase struct {
	ID       string         `json:"id"`
	Category string         `json:"category"`
	Usable   string         `json:"usable"`
	Starts   []int64        `json:"starts"` // Unix seconds of the chart's first bar; one of them is right
	Flags    []string       `json:"flags"`
	Inputs   map[string]any `json:"inputs"`

	source string
	trades []parityTrade
}

// parityTrade is one closed row of a list of trades.
type parityTrade struct {
	long                  bool
	qty                   float64
	entryTime, exitTime   int64 // Unix seconds
	entryPrice, exitPrice float64
	profit                float64
	rounding              float64 // how far the printed profit may be from the true one
	entryName, exitName   string
}

// equitySized says whether quantities depend on equity, and so on a currency rate that is not in the data.
func (c *parityCase) equitySized() bool {
	for _, f := range c.Flags {
		if f == "equity_sized" {
			return true
		}
	}
	return false
}

// lastExit is the time of the platform's last closed trade.
func (c *parityCase) lastExit() int64 {
	last := int64(math.MinInt64)
	for _, t := range c.trades {
		last = max(last, t.exitTime)
	}
	return last
}

// readCases reads the cases that can be scored.
func readCases(t *testing.T, dir string) []*parityCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "cases", "*", "case.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases under %s (%v)", dir, err)
	}
	var cases []*parityCase
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c := &parityCase{}
		if err := json.Unmarshal(text, c); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if c.Usable != "yes" {
			continue
		}
		source, err := os.ReadFile(filepath.Join(filepath.Dir(f), "strategy.pine"))
		if err != nil {
			t.Fatal(err)
		}
		c.source = string(source)
		c.trades = readTrades(t, filepath.Join(filepath.Dir(f), "trades.csv"))
		cases = append(cases, c)
	}
	return cases
}

// table reads a CSV file, packed by xz or not, into columns by name.
func table(t *testing.T, path string) map[string][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var text io.Reader = file
	if strings.HasSuffix(path, ".xz") {
		if text, err = xz.NewReader(bufio.NewReader(file)); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	rows, err := csv.NewReader(text).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	columns := map[string][]string{}
	for j, name := range rows[0] {
		for _, row := range rows[1:] {
			columns[name] = append(columns[name], row[j])
		}
	}
	return columns
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// readTrades reads the rows of closed trades.
func readTrades(t *testing.T, path string) []parityTrade {
	t.Helper()
	columns := table(t, path)
	var trades []parityTrade
	for i := range columns["n"] {
		if columns["open"][i] != "0" {
			continue
		}
		get := func(name string) float64 { return number(t, columns[name][i]) }
		trades = append(trades, parityTrade{
			long: columns["side"][i] == "long", qty: get("qty"),
			entryTime: int64(get("entry_time")), exitTime: int64(get("exit_time")),
			entryPrice: get("entry_price"), exitPrice: get("exit_price"),
			entryName: columns["entry_comment"][i], exitName: columns["exit_comment"][i],
		})
	}
	return trades
}

// readParityBars reads bars with times in milliseconds.
func readParityBars(t *testing.T, path, timeColumn string) *backtest.Bars {
	t.Helper()
	columns := table(t, path)
	n := len(columns[timeColumn])
	time, price := make([]int64, n), map[string][]float64{}
	for i, s := range columns[timeColumn] {
		time[i] = int64(number(t, s)) * 1000
	}
	for _, name := range []string{"open", "high", "low", "close", "volume"} {
		price[name] = make([]float64, n)
		for i, s := range columns[name] {
			if v := number(t, s); !math.IsNaN(v) {
				price[name][i] = v
			}
		}
	}
	bars, err := backtest.NewBars(time, price["open"], price["high"], price["low"], price["close"], price["volume"])
	if err != nil {
		t.Fatal(err)
	}
	return bars
}

// barsBetween is the bars from one time to another, both Unix seconds and included.
func barsBetween(t *testing.T, b *backtest.Bars, from, to int64) *backtest.Bars {
	t.Helper()
	i, j := 0, b.Len()
	for i < j && b.Time[i] < from*1e6 {
		i++
	}
	for j > i && b.Time[j-1] > to*1e6 {
		j--
	}
	part, err := backtest.NewBars(b.Time[i:j], b.Open[i:j], b.High[i:j], b.Low[i:j], b.Close[i:j], b.Volume[i:j])
	if err != nil {
		t.Fatal(err)
	}
	return part
}
