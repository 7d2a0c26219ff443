package evidence

import (
	"math"

	"millrace/jobs/portable"
)

// lengths draws geometric block lengths of a mean above 1. The length of a number u in (0, 1] is ⌊ln u / ln(1 − 1/mean)⌋ + 1, which is one more
// than the number of powers of 1 − 1/mean that u is not above. Numbers that are not too near to a power are held against those, as a logarithm takes
// several times as long, and the result is always that of the logarithm.
type lengths struct {
	scale  float64          // ln(1 − 1/mean)
	powers []float64        // from the zeroth on, down to below 1/parts; nil: of too long blocks
	above  [parts + 1]int32 // by the part of (0, 1] that u is in: the last power that is above all of it
}

const (
	parts = 1 << 10
	// longestMean bounds how many powers there are. Of longer blocks few are drawn.
	longestMean = 1 << 12
	// powerMargin is how near to a power, relative to it, a number is left to the logarithm: far more than rounding explains.
	powerMargin = 1e-9
)

func newLengths(mean float64) *lengths {
	l := &lengths{scale: portable.Log1p(-1 / max(mean, 1))}
	if !(mean > 1) || mean > longestMean {
		return l
	}
	for k := 0; ; k++ {
		power := portable.Exp(float64(k) * l.scale)
		l.powers = append(l.powers, power)
		if power < 1.0/parts {
			break
		}
	}
	last := int32(0)
	for part := parts; part >= 0; part-- {
		for l.powers[last+1] > float64(part+1)/parts {
			if last++; int(last)+1 == len(l.powers) {
				last--
				break
			}
		}
		l.above[part] = last
	}
	return l
}

// of is the length of u.
func (l *lengths) of(u float64) int {
	if l.powers == nil || u < 1.0/parts {
		return l.exactly(u)
	}
	k := l.above[int(u*parts)]
	for u < l.powers[k+1] {
		k++
	}
	if margin := powerMargin * u; l.powers[k]-u < margin || u-l.powers[k+1] < margin {
		return l.exactly(u)
	}
	return int(k) + 1
}

func (l *lengths) exactly(u float64) int {
	return int(min(math.Floor(portable.Log(u)/l.scale)+1, math.MaxInt32))
}
