package sweep

import "math/bits"

// mix64 is the finalizer of SplitMix64 (Steele, Lea & Flood 2014): a bijection whose output bits
// all depend on all input bits.
func mix64(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// draw64 is a random number that depends on its arguments only: the counter-based generator behind
// every seeded choice, so that trial i is the same whichever worker makes it.
func draw64(seed, counter, stream uint64) uint64 {
	const golden = 0x9e3779b97f4a7c15
	return mix64(mix64(mix64(seed+golden)+counter*golden) + (stream+1)*golden)
}

// uniform maps a random number to [0,1).
func uniform(x uint64) float64 { return float64(x>>11) / (1 << 53) }

// permutation is a seeded bijection of [0, n): a balanced Feistel network over the least even number
// of bits that holds n, walked until it lands inside (Black & Rogaway 2002, "Ciphers with arbitrary
// finite domains"). It samples without replacement in constant memory.
type permutation struct {
	n    uint64
	half uint
	mask uint64
	keys [feistelRounds]uint64
}

const feistelRounds = 6

func newPermutation(n, seed uint64) permutation {
	half := uint(bits.Len64(n-1)+1) / 2
	p := permutation{n: n, half: max(half, 1)}
	p.mask = 1<<p.half - 1
	for r := range p.keys {
		p.keys[r] = draw64(seed, uint64(r), 0x5eed)
	}
	return p
}

func (p *permutation) at(i uint64) uint64 {
	for {
		left, right := i>>p.half, i&p.mask
		for _, key := range p.keys {
			left, right = right, left^(mix64(right+key)&p.mask)
		}
		if i = left<<p.half | right; i < p.n {
			return i
		}
	}
}
