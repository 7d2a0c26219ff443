package pine

import (
	"math"
	"strings"
)

// Text is the text of a number the broker holds: an id or a comment.
func (r *Run) Text(id int32) string {
	if id == 0 {
		return ""
	}
	return r.text(float64(id - 1))
}

const (
	maxTexts     = 200_000
	maxTextBytes = 16 << 20
	maxText      = 4096
)

var errTexts error = limitError("the script makes more texts than a run may hold")

// resetTexts forgets the texts of the last run.
func (r *Run) resetTexts() {
	if n := r.lasting; n > 0 {
		for _, s := range r.strs[n:] {
			delete(r.known, s)
		}
		r.strs, r.size = r.strs[:n], r.lastingSize
		return
	}
	r.strs = append(r.strs[:0], r.program.ir.Strings...)
	for i, s := range r.strs {
		r.known[s] = i
	}
	r.size = 0
	n, _ := r.intern("")
	r.empty = int(n)
	// The texts of the market have the same numbers in every run, as columns may hold them.
	m := r.market
	for _, s := range []string{m.Ticker, strings.TrimPrefix(m.Prefix+":"+m.Ticker, ":"), m.Prefix, m.Currency, m.Base, m.Type, "regular", m.Zone.String(), "base", r.frame.tf} {
		_, _ = r.intern(s) // a new run has room for these
	}
	r.lasting, r.lastingSize = len(r.strs), r.size
}

// intern is the number of a text.
func (r *Run) intern(s string) (float64, error) {
	if n, ok := r.known[s]; ok {
		return float64(n), nil
	}
	if len(s) > maxText {
		s = s[:maxText]
	}
	r.size += len(s)
	if len(r.strs) >= maxTexts || r.size > maxTextBytes {
		return math.NaN(), errTexts
	}
	n := len(r.strs)
	r.strs = append(r.strs, s)
	r.known[s] = n
	return float64(n), nil
}

// text is the text of a number; na is empty.
func (r *Run) text(v float64) string {
	if v != v || v < 0 || v >= float64(len(r.strs)) {
		return ""
	}
	return r.strs[int(v)]
}
