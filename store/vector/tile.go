package vector

import "math"

// tileRows is how many rows are compared coarsely at once: their sums are in the processor's registers.
const tileRows = 64

// tile is the coarse form of tileRows rows. Dimensions are in pairs: the two codes of row r in pair p are at
// (p·tileRows + r)·2, so that a search reads the memory from the first pair to the last, and of a lexical query
// only the pairs in which it is not zero.
type tile struct {
	codes []int8
	fits  [tileRows]fit
}

// fit says what the codes of a row stand for, and bounds what they miss.
type fit struct {
	scale  float32 // of a code
	miss   float32 // at least the length of vector − scale·codes
	length float32 // at least the length of the vector
}

const fitBytes = 3 * 4

// pairsOf is how many pairs so many dimensions make; the last may be half empty.
func pairsOf(dimensions int) int { return (dimensions + 1) / 2 }

// put writes a row. Any codes will do, as what they miss is measured: the nearest miss least.
func (t *tile) put(r int, vector []float32) {
	var most float32
	for _, x := range vector {
		most = max(most, x, -x)
	}
	scale := most / math.MaxInt8
	var perCode float32
	if inverse := 1 / scale; inverse <= math.MaxFloat32 {
		perCode = inverse
	}
	var miss, square float64
	for d, x := range vector {
		const up = math.MaxInt8 + 1 // conversions cut what is above zero off
		code := max(-math.MaxInt8, min(math.MaxInt8, int32(float32(x*perCode)+(up+0.5))-up))
		t.codes[(d/2*tileRows+r)*2+d%2] = int8(code)
		missed := float64(x) - float64(float64(scale)*float64(code))
		miss += float64(missed * missed)
		square += float64(float64(x) * float64(x))
	}
	t.fits[r] = fit{scale: scale, miss: above(math.Sqrt(miss)), length: above(math.Sqrt(square))}
	if !(square < mostLength*mostLength) {
		t.fits[r].miss = float32(math.Inf(1)) // compared exactly, always
	}
}

// above is a number in single precision that is above x by more than the rounding of the sum that x is the root of.
func above(x float64) float32 { return math.Nextafter32(float32(x*(1+1e-9)), float32(math.Inf(1))) }
