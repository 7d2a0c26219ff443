package sweep

import "math/bits"

// maxSobolAxes is how many parameters a Sobol search can have.
const maxSobolAxes = 32

// sobol are the direction numbers of a scrambled Sobol sequence: for each axis, what each bit of a
// point's number contributes.
type sobol struct {
	directions [][32]uint32
	seeds      []uint32
}

func newSobol(axes int, seed uint64) *sobol {
	s := &sobol{directions: make([][32]uint32, axes), seeds: make([]uint32, axes)}
	for axis := range axes {
		s.directions[axis] = directions(axis)
		s.seeds[axis] = uint32(draw64(seed, uint64(axis), 0x50b01) >> 32)
	}
	return s
}

// directions are an axis's direction numbers by the recurrence of Bratley & Fox (1988); those of
// the first axis are the bits in reverse (van der Corput).
func directions(axis int) (v [32]uint32) {
	if axis == 0 {
		for k := range v {
			v[k] = 1 << (31 - k)
		}
		return v
	}
	p := joeKuo[axis-1]
	for k := range v {
		if k < p.degree {
			v[k] = p.m[k] << (31 - k)
			continue
		}
		v[k] = v[k-p.degree] ^ v[k-p.degree]>>p.degree
		for i := 1; i < p.degree; i++ {
			if p.inner>>(p.degree-1-i)&1 == 1 {
				v[k] ^= v[k-i]
			}
		}
	}
	return v
}

// raw is the coordinate of point i before scrambling, as a fraction of 2³².
func (s *sobol) raw(i uint32, axis int) uint32 {
	var x uint32
	for v := &s.directions[axis]; i != 0; i &= i - 1 {
		x ^= v[bits.TrailingZeros32(i)]
	}
	return x
}

// at is the coordinate of point i in [0,1).
func (s *sobol) at(i uint32, axis int) float64 {
	return float64(scramble(s.raw(i, axis), s.seeds[axis])) / (1 << 32)
}

// scramble is Owen's nested uniform scrambling by a hash whose bits depend on lower ones only, run
// on the bits in reverse (Laine & Karras 2011; Burley, "Practical Hash-based Owen Scrambling", J.
// Computer Graphics Techniques 9(4), 2020). It keeps the sequence's nets, and moves its first point
// away from the corner.
func scramble(x, seed uint32) uint32 {
	x = bits.Reverse32(x)
	x += seed
	x ^= x * 0x6c50b47c
	x ^= x * 0xb82f1e52
	x ^= x * 0xc7afe638
	x ^= x * 0x8d22f6e6
	return bits.Reverse32(x)
}
