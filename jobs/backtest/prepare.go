package backtest

// Runs of one period hold the same closes against bands of the same mean. Together they are more than the second cache has,
// so runs side by side take some bars each before they take the next.

// bander is a strategy that signals returns into bands, and nothing else.
type bander interface {
	bands(ind *Indicators, p Params) bands
}

// barsAtOnce is how many bars a run takes before the next one does: words of 64, few enough for the first cache.
const barsAtOnce = 512

// PrepareTogether is Prepare of up to Lanes runners with one strategy and one history, each with its parameters.
func PrepareTogether(runners []*Runner, params []Params) {
	s, ok := runners[0].strategy.(bander)
	if !ok || runners[0].ind.cache.limit < 4*Lanes { // all hold their arrays at once
		for i, r := range runners {
			r.Prepare(params[i])
		}
		return
	}
	defer func() {
		for _, r := range runners {
			r.ind.release()
		}
	}()
	var all [Lanes]bands
	for i, r := range runners {
		r.signals.list = r.signals.list[:0]
		all[i] = s.bands(&r.ind, params[i])
	}
	for bars, to := runners[0].bars.Len(), 0; to < bars; {
		to = min(to+barsAtOnce, bars)
		for i, r := range runners {
			all[i].signal(to, &r.signals)
		}
	}
}
