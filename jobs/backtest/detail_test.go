package backtest

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// minute is in microseconds.
const minute = int64(60e6)

// shape is one bar: open, high, low, close.
type shape [4]float64

// barsAt makes bars so many minutes apart.
func barsAt(t *testing.T, start, apart int64, shapes ...shape) *Bars {
	t.Helper()
	n := len(shapes)
	times, o, h, l, c := make([]int64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, s := range shapes {
		times[i], o[i], h[i], l[i], c[i] = (start+int64(i)*apart)*minute, s[0], s[1], s[2], s[3]
	}
	b, err := NewBars(times, o, h, l, c, make([]float64, n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inHalves are bars of an hour, and inside each two of half an hour. The entry fills on the second bar at 100;
// the third goes to 110 and to 90.
func inHalves(t *testing.T, third ...shape) *Bars {
	hours := barsAt(t, 0, 60, shape{100, 101, 99, 100}, shape{100, 101, 99, 100}, shape{100, 110, 90, 100}, shape{100, 101, 99, 100})
	halves := []shape{{100, 101, 99, 100}, {100, 101, 99, 100}, {100, 101, 99, 100}, {100, 101, 99, 100}}
	halves = append(halves, third...)
	halves = append(halves, shape{100, 101, 99, 100}, shape{100, 101, 99, 100})
	b, err := hours.WithDetail(barsAt(t, 0, 30, halves...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// enterOnFirst wants to be long from the first close on.
type enterOnFirst struct{ Strategy }

func (enterOnFirst) Signals(_ *Indicators, _ Params, out *Signals) { out.Long(0) }

// A stop at 95 and a target at 105 are both inside the third bar. The assumed path takes the stop under
// every policy but best; the bars inside say what came first.
func TestDetailDecidesBetweenStopAndTarget(t *testing.T) {
	t.Parallel()
	up, down := shape{100, 110, 98, 104}, shape{104, 106, 90, 100}
	for _, c := range []struct {
		name   string
		third  []shape
		policy IntrabarPolicy
		price  float64
		reason string
	}{
		{"the rise comes first", []shape{up, down}, PolicyWorst, 105, "target"},
		{"the fall comes first", []shape{{100, 101, 90, 97}, {97, 110, 96, 100}}, PolicyBest, 95, "stop"},
		{"the second half opens below the stop", []shape{{100, 104, 96, 97}, {93, 110, 90, 100}}, PolicyBest, 93, "stop"},
		{"one half meets both: the policy decides", []shape{{100, 110, 90, 100}, {100, 104, 99, 100}}, PolicyBest, 105, "target"},
		{"one half meets both: the worst is the stop", []shape{{100, 110, 90, 100}, {100, 104, 99, 100}}, PolicyWorst, 95, "stop"},
	} {
		b := inHalves(t, c.third...)
		r := NewRunner(b, enterOnFirst{}, Config{
			Side: SideBoth, Account: Account{Cash: 1000, Size: 1, Exclusive: true}, Stops: &Stops{StopPct: 5, TargetPct: 5}, Policy: c.policy, Calendar: CalendarExchange,
		})
		r.Prepare(nil)
		trades, _ := r.Trace(Window{To: b.Len()})
		if len(trades) != 1 || math.Abs(trades[0].ExitPrice-c.price) > 1e-9 || trades[0].ExitReason != c.reason || trades[0].ExitBar != 2 {
			t.Errorf("%s: %+v, want %s at %v on bar 2", c.name, trades, c.reason, c.price)
		}
	}
}

func TestDetailIsThatOfTheBars(t *testing.T) {
	t.Parallel()
	hours := barsAt(t, 0, 60, shape{100, 101, 99, 100}, shape{100, 102, 98, 100})
	fine := func(shapes ...shape) *Bars { return barsAt(t, 0, 30, shapes...) }
	plain := shape{100, 101, 99, 100}
	wide := shape{100, 102, 98, 100}
	for _, c := range []struct {
		name string
		fine *Bars
		want string
	}{
		{"as it should be", fine(plain, plain, wide, plain), ""},
		{"bars as long", hours, "has bars that are not shorter"},
		{"ends early", fine(plain, plain), "does not cover the bars: 1 of 2 have none inside, the first is bar 1"},
		{"begins later", barsAt(t, 60, 30, wide, plain), "does not cover the bars: 1 of 2 have none inside, the first is bar 0"},
		{"of another price", fine(shape{50, 51, 49, 50}, plain, wide, plain), "is not of the same prices: the inside of 1 of 2 bars has another high or low, first that of bar 0"},
	} {
		b, err := hours.WithDetail(c.fine)
		var reason *DetailError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.As(err, &reason) || !strings.HasPrefix(reason.Reason, c.want)):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		case c.want == "":
			if _, from, to := b.Slice(1, 2).Detail(0); from != 2 || to != 4 {
				t.Errorf("a slice's bar has the bars %d to %d inside, want 2 to 4", from, to)
			}
			if _, from, to := hours.Detail(0); from != to {
				t.Error("the bars themselves are changed")
			}
		}
	}
}

// Of many bars a few may be without detail: those keep the assumed path, and are counted.
func TestAFewBarsMayBeWithoutDetail(t *testing.T) {
	t.Parallel()
	shapes := make([]shape, 200)
	for i := range shapes {
		shapes[i] = shape{100, 101, 99, 100}
	}
	hours := barsAt(t, 0, 60, shapes...)
	halves := barsAt(t, 0, 30, append(shapes, shapes...)...)
	gap := barsAt(t, 30*2, 30, append(shapes, shapes[:198]...)...)
	b, err := hours.WithDetail(gap)
	if err != nil {
		t.Fatal(err)
	}
	if without, ok := b.Detailed(); !ok || without != 1 {
		t.Errorf("%d bars are without detail, want 1", without)
	}
	if notes := DetailNotes(b); len(notes) != 2 || !strings.HasPrefix(notes[1], "1 of 200 bars") {
		t.Errorf("notes %q", notes)
	}
	if whole, err := hours.WithDetail(halves); err != nil || len(DetailNotes(whole)) != 1 {
		t.Errorf("%v, %q", err, DetailNotes(whole))
	}
}
