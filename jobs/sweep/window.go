package sweep

import (
	"slices"
	"time"

	"millrace/jobs/backtest"
)

// The least numbers of bars in the parts of a TrainTest. They are below those of a split by ratio:
// a walk-forward judges by many short test windows together.
const (
	MinTrainBars = 100
	MinTestBars  = 10
)

// TrainTest is a split by time: trials are chosen on [TrainStart, TrainEnd), gates included, and
// judged on [TrainEnd, TestEnd). Nothing later exists for them, and of what is earlier only as many
// bars as their indicators need to warm up (backtest.Warmup).
type TrainTest struct {
	TrainStart time.Time `json:"train_start"`
	TrainEnd   time.Time `json:"train_end"`
	TestEnd    time.Time `json:"test_end"`
}

func (w *TrainTest) check(f *faults) {
	if !w.TrainEnd.After(w.TrainStart) {
		f.add("window.train_end", w.TrainStart, "is not after train_start")
	}
	if !w.TestEnd.After(w.TrainEnd) {
		f.add("window.test_end", w.TrainEnd, "is not after train_end")
	}
}

// span are the bars [from, to) of the train and [to, end) of the test part.
func (w *TrainTest) span(bars *backtest.Bars) (from, to, end int) {
	return barAt(bars, w.TrainStart), barAt(bars, w.TrainEnd), barAt(bars, w.TestEnd)
}

// barAt is the first bar at or after a time.
func barAt(bars *backtest.Bars, at time.Time) int {
	i, _ := slices.BinarySearch(bars.Time, at.UnixMicro())
	return i
}

// placeWindow cuts the plan's bars to the window and its warm-up.
func (p *Plan) placeWindow(s *series, f *faults) {
	w := p.spec.Window
	from, to, end := w.span(s.history)
	if n := to - from; n < MinTrainBars {
		f.add("window.train_start", MinTrainBars, "leaves %d bars to train on; at least %d are needed", n, MinTrainBars)
	}
	if n := end - to; n < MinTestBars {
		f.add("window.test_end", MinTestBars, "leaves %d bars to test on; at least %d are needed", n, MinTestBars)
	}
	if len(*f) > 0 {
		return
	}
	longest := make(backtest.Params, len(p.seq.space.axes))
	for i := range longest {
		longest[i] = p.seq.space.axes[i].most()
	}
	s.offset = max(0, from-backtest.Warmup(s.history, s.strategy, longest, p.spec.Stops))
	s.bars = s.history.Slice(s.offset, end)
	s.is = backtest.Window{From: from - s.offset, To: to - s.offset}
	s.oos = backtest.Window{From: to - s.offset, To: end - s.offset}
}

// most is the axis's largest value.
func (a *axis) most() float64 {
	if a.values != nil {
		return slices.Max(a.values)
	}
	return a.high
}
