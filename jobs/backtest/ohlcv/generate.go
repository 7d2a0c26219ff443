package ohlcv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

// Synthetic says which bars Generate makes. Zero values take the defaults named here.
type Synthetic struct {
	Seed     uint64
	Bars     int           // from 1 to MaxRows
	Interval time.Duration // between bars: whole microseconds; default one day
	Start    time.Time     // of the first bar; default 2000-01-01 UTC
	Price    float64       // of the first open, from 1 to 1e6; default 100
	Vol      float64       // annual volatility of the calm regime as a fraction; default 0.2
}

func (s *Synthetic) setDefaults() {
	if s.Interval == 0 {
		s.Interval = 24 * time.Hour
	}
	if s.Start.IsZero() {
		s.Start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if s.Price == 0 {
		s.Price = 100
	}
	if s.Vol == 0 {
		s.Vol = 0.2
	}
}

func (s *Synthetic) validate() error {
	switch {
	case s.Bars < 1 || s.Bars > MaxRows:
		return fmt.Errorf("bars must be from 1 to %d, not %d", MaxRows, s.Bars)
	case s.Interval < time.Microsecond || s.Interval%time.Microsecond != 0:
		return fmt.Errorf("interval must be a positive number of whole microseconds, not %s", s.Interval)
	case !(s.Price >= minPrice && s.Price <= maxPrice):
		return fmt.Errorf("price must be from %g to %g, not %g", minPrice, maxPrice, s.Price)
	case !(s.Vol > 0 && s.Vol <= 5):
		return fmt.Errorf("annual volatility must be above 0 and at most 5, not %g", s.Vol)
	}
	room := float64(maxMicros-s.Start.UnixMicro()) / float64(s.Interval.Microseconds())
	if s.Start.UnixMicro() < minMicros || float64(s.Bars-1) > room {
		return fmt.Errorf("%d bars of %s from %s do not fit in the years 1 to 9999", s.Bars, s.Interval, s.Start.Format(time.RFC3339))
	}
	return nil
}

// The walk is reflected at these prices, so that any length stays finite and above zero.
const (
	minPrice = 1.0
	maxPrice = 1e6
)

// regime is one state of the synthetic market.
type regime struct {
	drift float64 // annual, of the log price
	vol   float64 // multiple of Synthetic.Vol
	days  float64 // mean length
}

func regimes() [4]regime {
	return [4]regime{
		{drift: 0.18, vol: 0.7, days: 120}, // rising
		{drift: 0.00, vol: 1.0, days: 60},  // sideways
		{drift: -0.25, vol: 1.5, days: 45}, // falling
		{drift: -0.60, vol: 3.0, days: 10}, // panic
	}
}

// Generate makes synthetic bars: a geometric random walk whose drift and volatility change with a
// hidden regime, with volatility that clusters (GARCH(1,1)) and fat tails. The same Synthetic
// makes the same bars. They test the machinery; they hold nothing that a strategy could learn.
func Generate(s Synthetic) (*backtest.Bars, error) {
	s.setDefaults()
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("generate bars: %w", err)
	}
	w := newWalk(s)
	n := s.Bars
	flat := make([]float64, 5*n)
	open, high, low, closing, volume := flat[:n:n], flat[n:2*n:2*n], flat[2*n:3*n:3*n], flat[3*n:4*n:4*n], flat[4*n:]
	times := make([]int64, n)
	for i := range n {
		times[i] = s.Start.UnixMicro() + int64(i)*s.Interval.Microseconds()
		open[i], high[i], low[i], closing[i], volume[i] = w.bar()
	}
	b, err := backtest.NewBars(times, open, high, low, closing, volume)
	if err != nil {
		return nil, fmt.Errorf("generate bars: %w", err)
	}
	return b, nil
}

// walk is the state of the generator.
type walk struct {
	rng    *rand.Rand
	modes  [4]regime
	mode   int
	dt     float64 // years a bar
	days   float64 // days a bar
	vol    float64
	heat   float64 // GARCH variance relative to its mean
	price  float64 // log of the last close
	shares float64 // mean volume a bar
}

func newWalk(s Synthetic) *walk {
	days := s.Interval.Hours() / 24
	return &walk{
		rng: rand.New(rand.NewPCG(s.Seed, 0x6d696c6c72616365)), modes: regimes(), dt: days / 365, days: days,
		vol: s.Vol, heat: 1, price: portable.Log(s.Price), shares: 1e6 * math.Sqrt(days),
	}
}

// bar makes the next bar, with prices in hundredths.
func (w *walk) bar() (open, high, low, closing, volume float64) {
	if w.rng.Float64() < 1-portable.Exp(-w.days/w.modes[w.mode].days) {
		w.mode = (w.mode + 1 + w.rng.IntN(len(w.modes)-1)) % len(w.modes)
	}
	m := w.modes[w.mode]
	sigma := w.vol * m.vol * math.Sqrt(w.heat*w.dt)
	// A normal over the root of a uniform's mean has fat tails; the clamp keeps one bar sane.
	shock := max(-8, min(8, w.rng.NormFloat64()/math.Sqrt(0.5+float64(w.rng.Float64()))))
	w.heat = 0.05 + float64(0.08*min(float64(shock*shock), 16)) + float64(0.87*w.heat)
	first := reflect(w.price + float64(0.1*sigma*w.rng.NormFloat64()))
	last := reflect(first + max(-2, min(2, float64(m.drift*w.dt)-float64(sigma*sigma/2)+float64(sigma*shock))))
	top := max(first, last) + float64(0.4*sigma*math.Abs(w.rng.NormFloat64()))
	bottom := min(first, last) - float64(0.4*sigma*math.Abs(w.rng.NormFloat64()))
	w.price = last
	open, closing = cents(portable.Exp(first)), cents(portable.Exp(last))
	high = max(open, closing, cents(portable.Exp(min(top, portable.Log(2*maxPrice)))))
	low = max(0.01, min(open, closing, cents(portable.Exp(bottom))))
	volume = math.Round(w.shares * m.vol * portable.Exp(0.4*w.rng.NormFloat64()) * (0.5 + float64(0.5*math.Abs(shock))))
	return open, high, low, closing, volume
}

// reflect folds a log price back between the bounds.
func reflect(price float64) float64 {
	low, high := portable.Log(minPrice), portable.Log(maxPrice)
	if price < low {
		price = 2*low - price
	}
	if price > high {
		price = 2*high - price
	}
	return max(low, min(high, price))
}

func cents(price float64) float64 { return math.Round(price*100) / 100 }
