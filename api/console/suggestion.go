package console

import (
	"strconv"

	"millrace/api/types"
	"millrace/jobs/backtest"
)

// suggestion is a range around a parameter's default that a first tune may try.
func suggestion(spec types.ParamSpec) string {
	low, high := max(spec.Min, spec.Default/2), min(spec.Max, spec.Default*2)
	step := (high - low) / 8
	if spec.Kind == types.ParamKind(backtest.KindInt) {
		low, high = float64(int(low)), float64(int(high))
		step = max(1, float64(int(step)))
	} else if spec.Step > 0 {
		step = max(spec.Step, float64(int(step/spec.Step))*spec.Step)
	}
	if !(high > low) || !(step > 0) {
		return ""
	}
	return plain(low) + ":" + plain(high) + ":" + strconv.FormatFloat(step, 'g', 4, 64)
}
