package backtest

import "math"

// filling is what several runs fill their signals with, a number of each side by side: what they trade by, the legs that they
// come to, and what their closed trades sum to. A fill has three divisions, of which one waits for the fill before it: those of
// all runs are done at once.
type filling struct {
	size, withCost, rate      [Lanes]float64 // withCost: factor of what a unit costs
	cost                      [Lanes]float64 // of the last entry
	first, over, squares, pct [Lanes]float64 // as tally has them
	profit, loss              [Lanes]float64
	wins, count               [Lanes]int64
	unfit                     uint64    // a bit for each run that did not pay for an entry, or has too much for a number
	legs                      []float64 // units, entry and cash of the first leg of each run, then of the second, …
	shorts                    []byte    // of each fill, a bit for each run that it is short
}

// legNumbers is how many numbers the same leg of all runs has.
const legNumbers = 3 * Lanes

// begin makes room for so many fills. The first leg is before them, with the starting cash.
func (f *filling) begin(fills int) {
	legs, shorts := f.legs, f.shorts
	if need := (fills + 1) * legNumbers; cap(legs) < need {
		legs = make([]float64, need)
	} else {
		legs = legs[:need]
	}
	if cap(shorts) < fills {
		shorts = make([]byte, fills)
	}
	shorts = shorts[:fills]
	clear(shorts)
	clear(legs[:legNumbers])
	*f = filling{legs: legs, shorts: shorts}
}

// account is what a run trades by.
func (f *filling) account(lane int, a *Account) {
	f.size[lane], f.rate[lane], f.withCost[lane] = a.Size, float64(a.Commission), 1+float64(a.Commission)
	f.legs[2*Lanes+lane] = a.Cash
}

// leg is the k-th leg of a run.
func (f *filling) leg(lane, k int) leg {
	of := f.legs[k*legNumbers+lane:]
	return leg{of[0], of[Lanes], of[2*Lanes]}
}

// store adds the trades of a run that its fills closed, all but the last.
func (f *filling) store(lane int, t *tally) {
	t.trades, t.wins = max(0, int(f.count[lane])-1), int(f.wins[lane])
	t.first, t.over, t.squares, t.returnsPct = f.first[lane], f.over[lane], f.squares[lane], f.pct[lane]
	t.profit, t.loss = f.profit[lane], f.loss[lane]
}

// runPlain fills the signals of each run, whose prices are the entries of legs: as followSignal does, but that an entry which is
// not made leaves signals that were not kept, so that the run is not one for legs. With relative the size is that part of equity.
func (f *filling) runPlain(relative, whole bool) {
	for lane := range Lanes {
		var t tally
		held, entry, cash := 0.0, 0.0, f.legs[2*Lanes+lane]
		for k := range int(f.count[lane]) {
			at := f.legs[(k+1)*legNumbers+lane:]
			price := at[Lanes]
			if k > 0 { // as exit does
				gross, value := float64(held*(price-entry)), math.Abs(held*price)
				commission := float64(value * f.rate[lane])
				cash += gross - commission
				pnl := gross - f.cost[lane] - commission
				t.add(pnl, 100*pnl/(math.Abs(held)*entry))
			}
			// As enter does.
			unitCost, units := price*f.withCost[lane], f.size[lane]
			if relative {
				units = cash * units / unitCost
				if whole {
					units = float64(int64(units))
				}
			} else if units*unitCost > cash {
				units = 0
			}
			f.cost[lane] = float64(units * price * f.rate[lane])
			cash -= f.cost[lane]
			if !(units > 0 && cash <= math.MaxFloat64) {
				f.unfit |= 1 << lane
			}
			short := uint64(f.shorts[k]>>lane) & 1
			held, entry = math.Float64frombits(math.Float64bits(units)|short<<63), price
			at[0], at[2*Lanes] = held, cash
		}
		f.wins[lane], f.first[lane], f.over[lane], f.squares[lane] = int64(t.wins), t.first, t.over, t.squares
		f.pct[lane], f.profit[lane], f.loss[lane] = t.returnsPct, t.profit, t.loss
	}
}
