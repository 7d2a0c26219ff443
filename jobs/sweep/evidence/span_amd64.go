package evidence

import "golang.org/x/sys/cpu"

// addSpan is addSpanPlain, four sums at a time.
func addSpan(out, from, to []float64) {
	whole := len(out) &^ 3
	if whole == 0 || !cpu.X86.HasAVX2 {
		addSpanPlain(out, from, to)
		return
	}
	spanAVX2(&out[0], &from[:whole][0], &to[:whole][0], whole)
	addSpanPlain(out[whole:], from[whole:], to[whole:])
}

//go:noescape
func spanAVX2(out, from, to *float64, count int)
