package backtest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile are values of every kind, most of them near 100.
func hostile(rng *rand.Rand, n int, odd float64) []float64 {
	special := []float64{0, math.Copysign(0, -1), -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 5e-324, 100, 100}
	out := make([]float64, n)
	for i := range out {
		out[i] = 100 + math.Round(rng.NormFloat64()*4)
		if rng.Float64() < odd {
			out[i] = special[rng.IntN(len(special))]
		}
	}
	return out
}

// The processor's vectors do what the plain functions do, bit for bit, for any values.
func TestVectorsEqualPlainFunctions(t *testing.T) {
	t.Parallel()
	t.Log("vectors of", width())
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 4000 {
		odd := []float64{0, 0.01, 0.3}[round%3]
		n := rng.IntN(70)
		closes, units, entry, cash := hostile(rng, n, odd), 10*rng.NormFloat64(), 100.0, 200*rng.Float64()
		got, want := make([]float64, n), make([]float64, n)
		held, plain := hold(got, closes, units, entry, cash), holdPlain(want, closes, units, entry, cash)
		require.True(t, held <= plain && plain-held < 4, "hold wrote %d bars of %d", held, plain)
		requireBits(t, want[:held], got[:held])

		lows, highs := hostile(rng, n, odd), hostile(rng, n, odd)
		lower, upper := hostile(rng, 1, odd)[0]-12, hostile(rng, 1, odd)[0]+12
		held = guard(got, closes, lows, highs, units, entry, cash, lower, upper)
		plain = guardPlain(want, closes, lows, highs, units, entry, cash, lower, upper)
		require.True(t, held <= plain && plain-held < 4, "guard passed over %d bars of %d", held, plain)
		requireBits(t, want[:held], got[:held])

		still := quiet(closes, 96, 104)
		plain = quietPlain(closes, 96, 104)
		require.True(t, still <= plain && plain-still < 8, "quiet passed over %d bars of %d", still, plain)

		requireWords(t, rng, odd, units)
		requireWalk(t, rng, odd)
		requireFilling(t, rng, odd)

		var lanes [sumLanes][]float64
		sums := laneSums{last: [sumLanes]float64{100, 99, 1e-3, 1e300}}
		for i := range lanes {
			lanes[i] = hostile(rng, n&^1, odd/10)
		}
		wanted := sums
		sums.add(&lanes)
		wanted.addPlain(&lanes)
		for i := range sumLanes {
			var alone, beside equityStats
			wanted.store(i, &alone)
			sums.store(i, &beside)
			if math.IsInf(alone.sums.r4, 0) || math.IsNaN(alone.sums.r4) { // sums that nothing uses
				require.False(t, beside.sums.r4 <= math.MaxFloat64)
				continue
			}
			require.Equal(t, alone, beside)
		}
	}
}

// requireWords holds comparisons of 64 bars a word to the plain ones.
func requireWords(t *testing.T, rng *rand.Rand, odd, width float64) {
	t.Helper()
	words := rng.IntN(4)
	a, b, c := hostile(rng, 64*words, odd), hostile(rng, 64*words, odd), hostile(rng, max(64, 64*words), odd)
	over, under, want, wantUnder := make([]uint64, words), make([]uint64, words), make([]uint64, words), make([]uint64, words)
	compare(a, b, over, under)
	for i := range want {
		want[i], wantUnder[i] = comparePlain((*[64]float64)(a[64*i:]), (*[64]float64)(b[64*i:]))
	}
	require.Equal(t, [2][]uint64{want, wantUnder}, [2][]uint64{over, under})
	for _, step := range []int{0, 64} {
		above(a, 64, c, step, over)
		abovePlain(a, 64, c, step, want)
		above(c, step, b, 64, under)
		abovePlain(c, step, b, 64, wantUnder)
		require.Equal(t, [2][]uint64{want, wantUnder}, [2][]uint64{over, under})
	}
	sides, plain := make([][4]uint64, words), make([][4]uint64, words)
	outside(a, b, c, width, sides)
	outsidePlain(a, b, c, width, plain)
	require.Equal(t, plain, sides)
}

// requireWalk holds a walk over legs to that of one lane after the other.
func requireWalk(t *testing.T, rng *rand.Rand, odd float64) {
	t.Helper()
	if !hasLanes() {
		return
	}
	n := 1 + rng.IntN(70)
	closes, begun, bar := hostile(rng, n, odd), make([]byte, n), rng.IntN(100)
	for i := range begun {
		bits := rng.Uint32()
		begun[i] = byte(bits & (bits >> 8) & (bits >> 16) >> rng.IntN(8)) // few of them
	}
	legs := make([]float64, (n+1)*legNumbers)
	var s walk
	for lane := range Lanes {
		values := hostile(rng, 9+3*n, odd)
		for k := range n + 1 {
			at := legs[k*legNumbers+lane:]
			at[0], at[Lanes], at[2*Lanes] = values[3*k]/100, values[3*k+1], values[3*k+2]-80*rng.Float64()
		}
		s.units[lane], s.entry[lane], s.cash[lane] = values[3*n+3]/100, values[3*n+4], values[3*n+5]
		s.last[lane], s.least[lane] = 100, math.Inf(1)
		s.peak[lane], s.floor[lane], s.drawdown[lane], s.peakAt[lane] = 100+10*rng.Float64(), 90, 0.1*rng.Float64(), bar-1-rng.IntN(9)
		s.below[lane], s.legs[lane] = rng.IntN(9), &legs[lane]
	}
	got, want := make([]float64, n*Lanes), make([]float64, n*Lanes)
	plain, silent, daily, dailyPlain := s, s, s, s
	plain.overPlain(closes, begun, bar, want, legs)
	silent.over(closes, begun, bar, nil)
	s.over(closes, begun, bar, got)
	requireBits(t, want, got)
	requireBits(t, silent.numbers(), s.numbers())
	requireDays(t, rng, got, bar)
	daily.overDays(closes, begun, bar, got)
	dailyPlain.overDaysPlain(closes, begun, bar, want, legs)
	requireBits(t, want, got)
	require.Equal(t, s.next, daily.next)
	require.Equal(t, s.peakAt, daily.peakAt)
	require.Equal(t, s.below, daily.below)
	requireBits(t, daily.last[:], dailyPlain.last[:])
	requireBits(t, daily.r4[:], dailyPlain.r4[:])
	for _, same := range [][2][Lanes]float64{
		{s.units, daily.units}, {s.entry, daily.entry}, {s.cash, daily.cash}, {s.least, daily.least},
		{s.peak, daily.peak}, {s.floor, daily.floor}, {s.drawdown, daily.drawdown},
	} {
		requireBits(t, same[0][:], same[1][:])
	}
	for lane := range Lanes {
		require.Equal(t, plain.next[lane], s.next[lane])
		requireBits(t, []float64{plain.least[lane]}, []float64{s.least[lane]})
		if !(plain.least[lane] > 0) {
			continue // unfit: nothing else is used
		}
		require.Equal(t, [2]int{plain.peakAt[lane], plain.below[lane]}, [2]int{s.peakAt[lane], s.below[lane]})
		for i, v := range plain.numbers() {
			if i%Lanes == lane && !math.IsInf(plain.r4[lane], 0) && !math.IsNaN(plain.r4[lane]) {
				requireBits(t, []float64{v}, []float64{s.numbers()[i]})
			}
		}
	}
}

// requireFilling holds fills side by side to those of one lane after the other.
func requireFilling(t *testing.T, rng *rand.Rand, odd float64) {
	t.Helper()
	fills := rng.IntN(12)
	relative, whole := rng.IntN(2) == 0, rng.IntN(2) == 0
	var f, want filling
	f.begin(fills)
	for lane := range Lanes {
		a := Account{Cash: hostile(rng, 1, odd)[0] * 100, Commission: Commission(0.01 * float64(rng.IntN(2))), Size: 0.9}
		if !relative {
			a.Size = float64(1 + rng.IntN(200))
		}
		f.account(lane, &a)
		f.count[lane] = int64(rng.IntN(fills + 1))
		for k, price := range hostile(rng, fills, odd) {
			f.legs[(k+1)*legNumbers+Lanes+lane] = price
			f.shorts[k] |= byte((k+lane)&1) << lane
		}
	}
	want = f
	want.legs = append([]float64(nil), f.legs...)
	f.run(fills, relative, whole)
	want.runPlain(relative, whole)
	require.Equal(t, want.unfit, f.unfit)
	for lane := range Lanes {
		if want.unfit>>lane&1 == 1 {
			continue // nothing else is used
		}
		require.Equal(t, want.wins[lane], f.wins[lane])
		for _, same := range [][2][Lanes]float64{
			{want.cost, f.cost}, {want.first, f.first}, {want.over, f.over}, {want.squares, f.squares}, {want.pct, f.pct},
			{want.profit, f.profit}, {want.loss, f.loss},
		} {
			requireBits(t, same[0][lane:lane+1], same[1][lane:lane+1])
		}
		for k := range int(want.count[lane]) + 1 {
			a, b := want.leg(lane, k), f.leg(lane, k)
			requireBits(t, []float64{a.units, a.entry, a.cash}, []float64{b.units, b.entry, b.cash})
		}
	}
}

// requireDays holds the returns of days, and their moments, to those of one lane after the other.
func requireDays(t *testing.T, rng *rand.Rand, rows []float64, first int) {
	t.Helper()
	var ends []int32
	for i := range len(rows) / Lanes {
		if rng.IntN(3) == 0 {
			ends = append(ends, int32(first+i))
		}
	}
	if len(ends) == 0 {
		return
	}
	last := [Lanes]float64{100, 0, -3, 99, 101, 1e-300, math.Inf(1), 100}
	plain := last
	returns, want := make([]float64, len(ends)*Lanes), make([]float64, len(ends)*Lanes)
	returnsOfDays(&last, rows, ends, first, returns)
	returnsOfDaysPlain(&plain, rows, ends, first, want)
	requireBits(t, want, returns)
	requireBits(t, plain[:], last[:])
	var m, wanted laneMoments
	momentsOfLanes(&m, returns)
	momentsOfLanesPlain(&wanted, returns)
	for _, same := range [][2][Lanes]float64{{wanted.mean, m.mean}, {wanted.m2, m.m2}, {wanted.m3, m.m3}, {wanted.m4, m.m4}, {wanted.down, m.down}} {
		requireBits(t, same[0][:], same[1][:])
	}
	require.Equal(t, len(ends), int(m.of(0, len(ends)).n))
}

// numbers are all numbers of a walk, row by row.
func (s *walk) numbers() (all []float64) {
	for _, row := range []*[Lanes]float64{
		&s.units, &s.entry, &s.cash, &s.last, &s.r1, &s.gains, &s.losses, &s.r3, &s.r4, &s.least, &s.peak, &s.floor, &s.drawdown,
	} {
		all = append(all, row[:]...)
	}
	return all
}

// requireBits compares bit by bit; one NaN is as good as another.
func requireBits(t *testing.T, want, got []float64) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		if !math.IsNaN(want[i]) || !math.IsNaN(got[i]) {
			require.Equal(t, math.Float64bits(want[i]), math.Float64bits(got[i]), "value %d: %v, not %v", i, got[i], want[i])
		}
	}
}
