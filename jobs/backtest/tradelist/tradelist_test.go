package tradelist

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"millrace/jobs/backtest"
)

const hour = int64(3600e6)

// fixture is 400 hourly bars of prices around 100 with a tick of 0.01, and 40 trades on them: longs and
// shorts alternate, each from bar 10k+3 to 10k+7.
func fixture(t *testing.T) ([]Trade, *backtest.Bars) {
	t.Helper()
	const n = 400
	times, o, h, l, c, v := make([]int64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		times[i] = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC).UnixMicro() + int64(i)*hour
		o[i] = 100 + math.Round(500*math.Sin(float64(i)))/100
		c[i] = 100 + math.Round(500*math.Sin(float64(i+1)))/100
		h[i], l[i] = max(o[i], c[i])+1, min(o[i], c[i])-1
	}
	bars, err := backtest.NewBars(times, o, h, l, c, v)
	if err != nil {
		t.Fatal(err)
	}
	var trades []Trade
	for k := range 40 {
		in, out := 10*k+3, 10*k+7
		m := Trade{
			Number: k + 1, Long: k%2 == 0, Size: 2.5 + float64(k%3), EntryTime: times[in], ExitTime: times[out], EntryPrice: o[in], ExitPrice: o[out],
			rounding: 0.0051,
		}
		m.Profit = m.Size * (m.ExitPrice - m.EntryPrice)
		if !m.Long {
			m.Profit = -m.Profit
		}
		trades = append(trades, m)
	}
	return trades, bars
}

func TestTheFirstDifferenceHasItsReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(i int, t *Trade) // of theirs
		keep   func(i int) (theirs, mine bool)
		bars   func(*backtest.Bars) *backtest.Bars
		shift  string
		number int // of the first trade that differs; 0: none does
		reason string
	}{
		{name: "alike"},
		{name: "times of Singapore", change: func(_ int, t *Trade) { t.EntryTime += 8 * hour; t.ExitTime += 8 * hour }, shift: "8h0m"},
		{name: "times of India", change: func(_ int, t *Trade) { t.EntryTime += 5*hour + hour/2; t.ExitTime += 5*hour + hour/2 }, shift: "5h30m"},
		{name: "times of New York, over the change of the clocks", change: func(_ int, t *Trade) {
			at := func(m int64) int64 {
				if m < time.Date(2025, 3, 9, 7, 0, 0, 0, time.UTC).UnixMicro() {
					return m - 5*hour
				}
				return m - 4*hour
			}
			t.EntryTime, t.ExitTime = at(t.EntryTime), at(t.ExitTime)
		}, shift: "America/New_York"},
		{name: "the chart begins later", keep: func(i int) (bool, bool) { return i >= 5, true }, number: 1, reason: "the chart begins later"},
		{name: "averages that remember", change: func(i int, t *Trade) {
			if i < 6 {
				t.EntryTime += hour
			}
		}, number: 1, reason: "warm-up: after 2025-03-03"},
		{name: "a coarser tick", change: func(_ int, t *Trade) {
			t.EntryPrice, t.ExitPrice = math.Round(t.EntryPrice*4)/4, math.Round(t.ExitPrice*4)/4
		}, number: 1, reason: "tick size: their prices are multiples of 0.25"},
		{name: "slippage of three ticks", change: func(_ int, t *Trade) {
			if t.Long {
				t.EntryPrice += 0.03
			} else {
				t.EntryPrice -= 0.03
			}
		}, number: 1, reason: "slippage: their entries are 0.03 worse than ours on nearly every trade (3 ticks)"},
		{name: "prices of another source", change: func(i int, t *Trade) {
			if i == 9 {
				t.ExitPrice *= 1.2
			}
		}, number: 10, reason: "other bars: they fill at"},
		{name: "a stop inside the bar", change: func(i int, t *Trade) {
			if i == 9 {
				t.ExitPrice += 0.5
			}
		}, number: 10, reason: "a price inside a bar"},
		{name: "twice the quantity", change: func(_ int, t *Trade) { t.Size *= 2; t.Profit *= 2 }, number: 1, reason: "quantity: theirs is 2 times ours"},
		{name: "whole units", change: func(_ int, t *Trade) { t.Size = math.Floor(t.Size) }, number: 1, reason: "quantity step: their quantities are whole units"},
		{name: "quantities at a currency's rate", change: func(i int, t *Trade) { t.Size *= 1 + 0.001*math.Sin(float64(i)+1) }, number: 1, reason: "the account's currency"},
		{name: "profits at a currency's rate are not compared", change: func(i int, t *Trade) { t.Profit *= 1 + 0.004*math.Sin(float64(i)+1) }},
		{name: "commission in percent", change: func(_ int, t *Trade) { t.Profit -= 0.001 * t.Size * (t.EntryPrice + t.ExitPrice) }, number: 1, reason: "commission: they pay 0.1 % more of the value"},
		{name: "commission an order", change: func(_ int, t *Trade) { t.Profit -= 3 }, number: 1, reason: "commission: they pay 3 more on nearly every trade, 1.5 an order"},
		{name: "commission a contract", change: func(_ int, t *Trade) { t.Profit -= 1.2 * t.Size }, number: 1, reason: "commission: they pay 1.2 more a unit, 0.6 a side"},
		{name: "point value", change: func(_ int, t *Trade) { t.Profit *= 50 }, number: 1, reason: "point value: their profits are 50 times ours"},
		{name: "missing bars", bars: func(b *backtest.Bars) *backtest.Bars { return without(t, b, 103) }, keep: func(i int) (bool, bool) { return true, i != 10 },
			number: 11, reason: "missing bars: the list has fills at 1 times at which there is no bar, the first at 2025-03-05 07:00"},
		{name: "bars of two hours", bars: func(b *backtest.Bars) *backtest.Bars { return everySecond(t, b) }, keep: func(int) (bool, bool) { return true, false },
			number: 1, reason: "other bars: most trades of the list are at times at which there is no bar"},
		{name: "other inputs", change: func(i int, t *Trade) { t.EntryTime += hour * int64(1+i%3) }, number: 1, reason: "other inputs or settings"},
		{name: "one trade more", keep: func(i int) (bool, bool) { return true, i != 38 }, number: 39, reason: "few trades differ"},
		{name: "another exit", change: func(i int, t *Trade) {
			if i%2 == 1 {
				t.ExitTime -= hour
			}
		}, number: 2, reason: "another exit: an input of the exit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all, bars := fixture(t)
			if c.bars != nil {
				bars = c.bars(bars)
			}
			var theirs, mine []Trade
			for i, m := range all {
				their := m
				if c.change != nil {
					c.change(i, &their)
				}
				a, b := true, true
				if c.keep != nil {
					a, b = c.keep(i)
				}
				if a {
					theirs = append(theirs, their)
				}
				if b {
					mine = append(mine, m)
				}
			}
			got := Compare(theirs, mine, Market{Bars: bars, Tick: 0.01})
			if got.Shift != c.shift {
				t.Errorf("shift %q, want %q", got.Shift, c.shift)
			}
			if c.number == 0 {
				if got.First != nil || got.Alike != len(theirs) {
					t.Fatalf("%d of %d alike, first difference %v: %s", got.Alike, len(theirs), got.First, got.Reason)
				}
				return
			}
			if got.First == nil {
				t.Fatal("no difference is found")
			}
			number := 0
			if got.First.Theirs != nil {
				number = got.First.Theirs.Number
			} else {
				number = got.First.Mine.Number
			}
			if number != c.number || !strings.HasPrefix(got.Reason, c.reason) {
				t.Errorf("trade %d: %s; want trade %d: %s", number, got.Reason, c.number, c.reason)
			}
		})
	}
}

// without are the bars less one.
func without(t *testing.T, b *backtest.Bars, bar int) *backtest.Bars {
	t.Helper()
	drop := func(v []float64) []float64 { return append(append([]float64{}, v[:bar]...), v[bar+1:]...) }
	less, err := backtest.NewBars(append(append([]int64{}, b.Time[:bar]...), b.Time[bar+1:]...), drop(b.Open), drop(b.High), drop(b.Low), drop(b.Close), drop(b.Volume))
	if err != nil {
		t.Fatal(err)
	}
	return less
}

func everySecond(t *testing.T, b *backtest.Bars) *backtest.Bars {
	t.Helper()
	for i := b.Len() - 1; i >= 0; i-- {
		if i%2 == 1 {
			b = without(t, b, i)
		}
	}
	return b
}

// One list of two trades in the forms that a list has had.
func TestListsOfAllFormsReadTheSame(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"of today, newest first": "\ufeffTrade #,Type,Date and time,Signal,Price USDT,Position size (qty),Position size (value),Net P&L USD,Net P&L %\r\n" +
			"3,Exit long,2025-04-01 12:00,Open,1700,1,1700,5,1\r\n3,Entry long,2025-04-01 11:00,L,1695,1,1695,5,1\r\n" +
			"2,Exit short,2025-04-01 10:30,tp,\"1,790.50\",0.5,895.25,\u22124.75,-0.5\r\n2,Entry short,2025-04-01 09:00,S,\"1,781\",0.5,890.5,\u22124.75,-0.5\r\n" +
			"1,Exit long,2025-03-31 21:30,S,1825.01,1,1825.01,12.5,0.69\r\n1,Entry long,2025-03-31 12:00,up,1812.51,1,1812.51,12.5,0.69\r\n",
		"of old": "Trade #,Type,Signal,Date/Time,Price,Contracts,Profit,Profit %\n" +
			"1,Entry Long,up,2025-03-31 12:00,1812.51,1,,\n1,Exit Long,S,2025-03-31 21:30,1825.01,1,12.50,0.69\n" +
			"2,Entry Short,S,2025-04-01 09:00,1781,0.5,,\n2,Exit Short,tp,2025-04-01 10:30,1790.5,0.5,-4.75,-0.5\n3,Entry Long,L,2025-04-01 11:00,1695,1,,\n",
		"saved by a workbook": "Trade #;Type;Date and time;Signal;Price EUR;Quantity;Net PnL EUR\n" +
			"1;Entry long;2025-03-31 12:00:00;up;1812,51;1;12,5\n1;Exit long;2025-03-31 21:30:00;S;1.825,01;1;12,5\n" +
			"2;Entry short;2025-04-01 09:00:00;S;1781;0,5;-4,75\n2;Exit short;2025-04-01 10:30:00;tp;1790,5;0,5;-4,75\n",
	} {
		got, err := Read(strings.NewReader(text), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var lines []string
		for i := range got {
			lines = append(lines, got[i].String()+" "+got[i].EntrySignal+">"+got[i].ExitSignal)
		}
		want := "trade 1, long 1: 2025-03-31 12:00 at 1812.51 to 2025-03-31 21:30 at 1825.01, profit 12.5 up>S\n" +
			"trade 2, short 0.5: 2025-04-01 09:00 at 1781 to 2025-04-01 10:30 at 1790.5, profit -4.75 S>tp"
		if strings.Join(lines, "\n") != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(lines, "\n"), want)
		}
	}
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(strings.NewReader("Trade #,Type,Date and time,Price,Qty\n1,Entry long,2025-03-31 12:00,1,1\n1,Exit long,2025-03-31 13:00,2,1\n"), zone)
	if err != nil || stamp(got[0].EntryTime) != "2025-03-31 03:00" || !math.IsNaN(got[0].Profit) {
		t.Errorf("in Tokyo's time: %v, %v", got, err)
	}
}

func TestListsThatCannotBeReadNameTheLine(t *testing.T) {
	t.Parallel()
	const head = "Trade #,Type,Date and time,Signal,Price,Qty\n"
	for text, want := range map[string]string{
		"":           "line 1: the list is empty",
		"PK\x03\x04": "export the list of trades as CSV",
		"a,b\n1,2\n": `line 1: there is no column "Trade #"`,
		head:         "has no trades",
		head + "x,Entry long,2025-01-01 00:00,L,1,1\n":                                          `line 2: "x" is not the number of a trade`,
		head + "1,Long,2025-01-01 00:00,L,1,1\n":                                                `line 2: the type "Long"`,
		head + "1,Entry long,yesterday,L,1,1\n":                                                 `line 2: "yesterday" is not a time`,
		head + "1,Entry long,2025-01-01 00:00,L,one,1\n":                                        `line 2: the price: "one"`,
		head + "1,Entry long,2025-01-01 00:00,L,1,NaN\n":                                        `line 2: the quantity: "NaN"`,
		head + "1,Exit long,2025-01-01 00:00,L,1,1\n":                                           "trade 1 has no entry",
		head + "1,Entry long," + strings.Repeat("9", 1000) + ",L,1,1\n":                         "9…\" is not a time",
		head + "1,Entry long,2025-01-01 00:00,L,1,1\n1,Exit long,2025-01-01 01:00,\"x\ny\",z,1": `line 3: the price: "z"`,
	} {
		_, err := Read(strings.NewReader(text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestAWrittenListReadsAsTheTradesItIsOf(t *testing.T) {
	t.Parallel()
	all, bars := fixture(t)
	var run []backtest.Trade
	for _, m := range all {
		side := backtest.SideShort
		if m.Long {
			side = backtest.SideLong
		}
		run = append(run, backtest.Trade{
			Side: side, Size: m.Size, EntryTime: m.EntryTime, ExitTime: m.ExitTime, EntryPrice: m.EntryPrice, ExitPrice: m.ExitPrice, PnL: m.Profit,
			ReturnPct: 100 * m.Profit / (m.Size * m.EntryPrice), ExitReason: "signal", EntrySignal: `a "quoted", name`, Runup: 3, Drawdown: 1,
		})
	}
	var out bytes.Buffer
	if err := Write(&out, run, 1000); err != nil {
		t.Fatal(err)
	}
	theirs, err := Read(&out, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := Compare(theirs, FromRun(run), Market{Bars: bars, Tick: 0.01})
	if got.First != nil || got.Alike != len(run) {
		t.Errorf("%d of %d trades are alike; %v: %s", got.Alike, len(run), got.First, got.Reason)
	}
	if theirs[0].EntrySignal != `a "quoted", name` || theirs[0].ExitSignal != "signal" {
		t.Errorf("signals %q, %q", theirs[0].EntrySignal, theirs[0].ExitSignal)
	}
}
