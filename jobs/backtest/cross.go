package backtest

// cross writes +1 where a crosses above b and −1 where it crosses below: it was not above (below)
// one bar before and is now. NaN on either bar is no cross.
func cross(a, b []float64, out []int8) {
	b = b[:len(a)]
	out = out[:len(a)]
	above, below := false, false // of the bar before
	valid := false
	for i, v := range a {
		w := b[i]
		nowAbove, nowBelow := v > w, v < w
		if nowAbove != above || nowBelow != below {
			if valid && nowAbove {
				out[i] = 1
			} else if valid && nowBelow {
				out[i] = -1
			}
		}
		above, below = nowAbove, nowBelow
		valid = valid || v == v && w == w
	}
}

// crossLevel is cross against a constant.
func crossLevel(a []float64, level float64, up, down int8, out []int8) {
	for i := 1; i < len(a); i++ {
		switch {
		case a[i-1] <= level && a[i] > level:
			if up != 0 {
				out[i] = up
			}
		case a[i-1] >= level && a[i] < level:
			if down != 0 {
				out[i] = down
			}
		}
	}
}

func period(name string, def, low, high int, doc string) ParamSpec {
	return ParamSpec{Name: name, Kind: KindInt, Default: float64(def), Min: float64(low), Max: float64(high), Step: 1, Doc: doc}
}

func level(name string, def, low, high float64, doc string) ParamSpec {
	return ParamSpec{Name: name, Kind: KindFloat, Default: def, Min: low, Max: high, Doc: doc}
}
