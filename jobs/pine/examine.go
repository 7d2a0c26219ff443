package pine

import "millrace/jobs/backtest"

// Examine runs a script over bars as backtest.Examine does. The tick is that of all bars in every run: a
// history that ends earlier, or continues otherwise, may show another.
func Examine(s *Strategy, b *backtest.Bars, cfg backtest.Config, stop func() bool) backtest.Examination {
	return backtest.Examine(onMarket{s, Market{Tick: backtest.TickOf(b), LotStep: lotStep}.of(b.Instrument())}, b, cfg, stop)
}

// onMarket is a strategy on one instrument.
type onMarket struct {
	*Strategy
	market Market
}

// Trader makes a trader of the strategy on the instrument.
func (s onMarket) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return s.TraderOf(c, cfg, s.market)
}
