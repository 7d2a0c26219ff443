package backtest

// HasLanes reports whether this processor runs trials side by side.
func HasLanes() bool { return hasLanes() }

// RanInLegs reports whether the last run of the window was one in legs and came through as one.
func (r *Runner) RanInLegs(w Window) bool { return r.inLegs(w) && !r.legs.unfit }
