package sweep

import (
	"fmt"
	"slices"
	"time"

	"millrace/jobs/backtest"
)

// DatasetWalk is what the folds' choices did on one of several datasets, with an account of its own.
type DatasetWalk struct {
	Dataset string    `json:"dataset"`
	From    time.Time `json:"from"` // first bar of the first test window
	To      time.Time `json:"to"`   // last bar of the last one
	OOS     Stitched  `json:"oos"`
	// Earned is in how many of the folds that chose parameters they earned something on this dataset.
	Earned int `json:"folds_earned"`
	Chosen int `json:"folds_chosen"`
}

func (w *DatasetWalk) describe(data Series, folds []FoldResult, oos Stitched, curve Curve) {
	w.OOS = oos
	if n := len(curve.Bars); n > 0 {
		w.From, w.To = time.UnixMicro(data.Bars.Time[curve.Bars[0]]).UTC(), time.UnixMicro(data.Bars.Time[curve.Bars[n-1]]).UTC()
	}
	for _, fold := range folds {
		if fold.Winner == nil {
			continue
		}
		w.Chosen++
		place := slices.IndexFunc(fold.Winner.Datasets, func(d DatasetEntry) bool { return d.Dataset == w.Dataset })
		if place < 0 {
			continue
		}
		if m := fold.Winner.Datasets[place].MetricsOOS; m != nil && m.ReturnPct > 0 {
			w.Earned++
		}
	}
}

// shared is the time that the datasets of a walk-forward have in common, in whole days.
type shared struct {
	start, end   time.Time
	begins, ends string // the datasets that begin last and end first; "" of one dataset
}

func (s shared) several() bool { return s.begins != "" }

// common finds the time that all datasets have in common. What lies outside of it is noted.
func common(data []Series, f *faults) (all shared, notes []string) {
	for i, d := range data {
		first, last := dayOf(d.Bars.Time[0]), dayOf(d.Bars.Time[d.Bars.Len()-1]).Add(oneDay)
		if i == 0 || first.After(all.start) {
			all.start, all.begins = first, d.Name
		}
		if i == 0 || last.Before(all.end) {
			all.end, all.ends = last, d.Name
		}
	}
	if len(data) == 1 {
		all.begins, all.ends = "", ""
		return all, nil
	}
	for i, d := range data {
		if !d.Bars.SameInterval(data[0].Bars) {
			f.add(fmt.Sprintf("datasets[%d]", i), nil, "%s has bars of another length than %s; periods are counted in bars", d.Name, data[0].Name)
		}
	}
	if !all.end.After(all.start) {
		f.add("datasets", nil, "have no time in common: %s begins on %s, %s ends before %s; name datasets that overlap",
			all.begins, all.start.Format(time.DateOnly), all.ends, all.end.Format(time.DateOnly))
		return all, nil
	}
	for _, d := range data {
		span := TrainTest{TrainStart: all.start, TrainEnd: all.end, TestEnd: all.end}
		from, to, _ := span.span(d.Bars)
		if outside := d.Bars.Len() - (to - from); outside > 0 {
			notes = append(notes, fmt.Sprintf("%s has %d of %d bars outside of %s to %s, the time that all datasets have in common: no fold trains or is tested on them",
				d.Name, outside, d.Bars.Len(), all.start.Format(time.DateOnly), all.end.Add(-oneDay).Format(time.DateOnly)))
		}
	}
	return all, notes
}

func dayOf(micros int64) time.Time { return time.UnixMicro(micros).UTC().Truncate(oneDay) }

// mark is where an account stands, and buy-and-hold, at the end of a period of one dataset, both of 1 at the
// beginning of the fold.
type mark struct {
	day       time.Time
	at        int64
	own, held float64
}

// marksOf are those of a fold, one a day at most.
func marksOf(data Series, s *Stretch) (marks []mark) {
	part := backtest.Window{From: s.From, To: s.From + len(s.Growth)}
	for _, bar := range data.Bars.PeriodEnds(part) {
		at := data.Bars.Time[bar]
		m := mark{dayOf(at), at, s.Growth[bar-s.From], data.Bars.Close[bar] / data.Bars.Close[part.From]}
		if n := len(marks); n > 0 && marks[n-1].day.Equal(m.day) {
			marks[n-1] = m // two periods end on one UTC day: their returns compound
			continue
		}
		marks = append(marks, m)
	}
	return marks
}

// together makes the account that has an equal part in each dataset, shared out again every day on which any of
// them ends a period. A dataset that ends none on a day, as its market is closed, earns nothing on it.
func (out *WFOOutcome) together(cash float64, data []Series, folds []FoldResult) (all stitchedReturns) {
	equity, even, years := cash, true, 0.0
	for i := range folds {
		marks := make([][]mark, len(data))
		for k, d := range data {
			s := folds[i].Stretch.of(k)
			marks[k] = marksOf(d, s)
			out.OOS.Bars, out.OOS.Trades = out.OOS.Bars+len(s.Growth), out.OOS.Trades+s.Trades
		}
		days := daysOf(marks)
		for _, of := range marks {
			even = even && len(of) == len(days)
		}
		first := len(all.own)
		all.join(days, marks)
		for t, day := range days {
			equity = float64(equity * (1 + all.own[first+t]))
			out.Curve.At, out.Curve.Together = append(out.Curve.At, lastOf(day, marks)), append(out.Curve.Together, equity)
		}
		all.ends = append(all.ends, len(all.own))
		until := folds[i].Fold.TestEnd
		if i+1 < len(folds) && folds[i+1].Fold.TrainEnd.Before(until) {
			until = folds[i+1].Fold.TrainEnd
		}
		years += until.Sub(folds[i].Fold.TrainEnd).Hours() / (365.2425 * 24)
	}
	all.perYear = data[0].Bars.PeriodsPerYear(data[0].Calendar)
	if !even && years > 0 {
		all.perYear = float64(len(all.own)) / years
		out.Warnings = append(out.Warnings, fmt.Sprintf("the datasets do not trade on the same days: together, one earns nothing on a day on which it does not trade, and figures are annualised by %.1f observed days a year", all.perYear))
	}
	all.startsAt = func(tenth int) int64 { return out.Curve.At[len(out.Curve.At)*tenth/10] }
	out.OOS.earned(cash, out.Curve.Together)
	return all
}

// daysOf are the days on which any dataset ends a period, in order.
func daysOf(marks [][]mark) (days []time.Time) {
	for _, of := range marks {
		for _, m := range of {
			days = append(days, m.day)
		}
	}
	slices.SortFunc(days, time.Time.Compare)
	return slices.CompactFunc(days, time.Time.Equal)
}

// lastOf is the time of the last bar of a day.
func lastOf(day time.Time, marks [][]mark) (at int64) {
	for _, of := range marks {
		if i, ok := findDay(of, day); ok {
			at = max(at, of[i].at)
		}
	}
	return at
}

func findDay(of []mark, day time.Time) (int, bool) {
	return slices.BinarySearchFunc(of, day, func(m mark, day time.Time) int { return m.day.Compare(day) })
}

// join adds the mean returns of the datasets on the days of a fold.
func (all *stitchedReturns) join(days []time.Time, marks [][]mark) {
	before := make([]mark, len(marks))
	next := make([]int, len(marks))
	for k := range before {
		before[k].own, before[k].held = 1, 1
	}
	n := float64(len(marks))
	for _, day := range days {
		var own, held float64
		for k, of := range marks {
			if next[k] == len(of) || !of[next[k]].day.Equal(day) {
				continue
			}
			m := of[next[k]]
			next[k]++
			if before[k].own > 0 { // a ruined account has no returns
				own += (m.own/before[k].own - 1) / n
			}
			held += (m.held/before[k].held - 1) / n
			before[k] = m
		}
		all.own, all.held = append(all.own, own), append(all.held, held)
	}
}
