package sweep

import (
	"encoding/binary"
	"math"
)

// eachPlane passes on what planes has, piece by piece. A piece is valid until the next one.
func (c *columns) eachPlane(use func(piece []byte)) {
	n := c.len()
	use(binary.LittleEndian.AppendUint32([]byte{columnsVersion}, uint32(n)))
	planes := make([]byte, 8*n)
	for i, v := range c.verdicts {
		planes[i] = byte(v)
	}
	use(planes[:n])
	for _, columns := range [][][]float64{c.params, c.scores[:]} {
		for _, column := range columns {
			splitLong(planes, column)
			use(planes)
		}
	}
	for _, column := range c.figures {
		splitShort(planes, column, math.Float32bits)
		use(planes[:4*n])
	}
	for _, column := range c.trades {
		splitShort(planes, column, func(v uint32) uint32 { return v })
		use(planes[:4*n])
	}
}

// splitLong writes the eight planes of a column: the lowest bytes of all values, then the second ones, and so on. Eight values are turned
// at a time, as a matrix of eight times eight bytes: to pick one byte of each value, plane after plane, takes four times as long.
func splitLong(planes []byte, column []float64) {
	n := len(column)
	i := 0
	for ; i+8 <= n; i += 8 {
		v := (*[8]float64)(column[i:])
		r0, r1, r2, r3 := math.Float64bits(v[0]), math.Float64bits(v[1]), math.Float64bits(v[2]), math.Float64bits(v[3])
		r4, r5, r6, r7 := math.Float64bits(v[4]), math.Float64bits(v[5]), math.Float64bits(v[6]), math.Float64bits(v[7])
		r0, r4 = swap(r0, r4, 32, 0x00000000ffffffff)
		r1, r5 = swap(r1, r5, 32, 0x00000000ffffffff)
		r2, r6 = swap(r2, r6, 32, 0x00000000ffffffff)
		r3, r7 = swap(r3, r7, 32, 0x00000000ffffffff)
		r0, r2 = swap(r0, r2, 16, 0x0000ffff0000ffff)
		r1, r3 = swap(r1, r3, 16, 0x0000ffff0000ffff)
		r4, r6 = swap(r4, r6, 16, 0x0000ffff0000ffff)
		r5, r7 = swap(r5, r7, 16, 0x0000ffff0000ffff)
		r0, r1 = swap(r0, r1, 8, 0x00ff00ff00ff00ff)
		r2, r3 = swap(r2, r3, 8, 0x00ff00ff00ff00ff)
		r4, r5 = swap(r4, r5, 8, 0x00ff00ff00ff00ff)
		r6, r7 = swap(r6, r7, 8, 0x00ff00ff00ff00ff)
		binary.LittleEndian.PutUint64(planes[i:], r0)
		binary.LittleEndian.PutUint64(planes[n+i:], r1)
		binary.LittleEndian.PutUint64(planes[2*n+i:], r2)
		binary.LittleEndian.PutUint64(planes[3*n+i:], r3)
		binary.LittleEndian.PutUint64(planes[4*n+i:], r4)
		binary.LittleEndian.PutUint64(planes[5*n+i:], r5)
		binary.LittleEndian.PutUint64(planes[6*n+i:], r6)
		binary.LittleEndian.PutUint64(planes[7*n+i:], r7)
	}
	for ; i < n; i++ {
		for k := range 8 {
			planes[k*n+i] = byte(math.Float64bits(column[i]) >> (8 * k))
		}
	}
}

// splitShort is splitLong of four planes. The upper halves of its rows hold the last four values.
func splitShort[T any](planes []byte, column []T, bits func(T) uint32) {
	n := len(column)
	i := 0
	for ; i+8 <= n; i += 8 {
		v := (*[8]T)(column[i:])
		r0 := uint64(bits(v[0])) | uint64(bits(v[4]))<<32
		r1 := uint64(bits(v[1])) | uint64(bits(v[5]))<<32
		r2 := uint64(bits(v[2])) | uint64(bits(v[6]))<<32
		r3 := uint64(bits(v[3])) | uint64(bits(v[7]))<<32
		r0, r2 = swap(r0, r2, 16, 0x0000ffff0000ffff)
		r1, r3 = swap(r1, r3, 16, 0x0000ffff0000ffff)
		r0, r1 = swap(r0, r1, 8, 0x00ff00ff00ff00ff)
		r2, r3 = swap(r2, r3, 8, 0x00ff00ff00ff00ff)
		binary.LittleEndian.PutUint64(planes[i:], r0)
		binary.LittleEndian.PutUint64(planes[n+i:], r1)
		binary.LittleEndian.PutUint64(planes[2*n+i:], r2)
		binary.LittleEndian.PutUint64(planes[3*n+i:], r3)
	}
	for ; i < n; i++ {
		for k := range 4 {
			planes[k*n+i] = byte(bits(column[i]) >> (8 * k))
		}
	}
}

// swap exchanges the upper bits of one row, as many as shift says in each of its parts, with the lower ones of another, which mask covers.
func swap(upper, lower uint64, shift int, mask uint64) (a, b uint64) {
	different := (upper>>shift ^ lower) & mask
	return upper ^ different<<shift, lower ^ different
}
