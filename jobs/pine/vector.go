package pine

import (
	"math"

	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/ta"
)

// vectorBlock is how many bars a vector operation does at once: few enough that what passes between
// operations stays in the first cache.
const vectorBlock = 1024

func (r *Run) fillVector(u *unitCode) {
	temps := make([]float64, u.temp*vectorBlock)
	var spread [4][]float64
	n := r.bars.Len()
	for from := 0; from < n; from += vectorBlock {
		to := min(from+vectorBlock, n)
		for k := range u.ops {
			op := &u.ops[k]
			packs := op.dst.kind == fromColumn && r.cols[op.dst.index] == nil
			var dst []float64
			if packs {
				dst = own(&spread[3])[:to-from]
			} else {
				dst = r.block(op.dst, temps, from, to, nil)
			}
			var args [3][]float64
			if op.op == ir.OpBarHist || op.op == ir.OpHist {
				r.shift(dst, op, from)
				continue
			}
			for i := range op.n {
				args[i] = r.block(op.args[i], temps, from, to, &spread[i])
			}
			vectorise(op.op, dst, args[0], args[1], args[2])
			if packs {
				ta.Pack(dst, r.bits[op.dst.index][from/64:words(to)])
			}
		}
	}
}

// block is an operand's values of the bars from to to; constants are spread out.
func (r *Run) block(o operand, temps []float64, from, to int, spread *[]float64) []float64 {
	switch o.kind {
	case fromBar:
		return r.frame.series[o.index][from:to]
	case fromColumn:
		if r.cols[o.index] == nil {
			v := own(spread)[:to-from]
			unpack(v, r.bits[o.index], from)
			return v
		}
		return r.cols[o.index][from:to]
	case fromTemp:
		return temps[o.index*vectorBlock:][:to-from]
	}
	v, s := r.scalar(o), own(spread)[:to-from]
	for i := range s {
		s[i] = v
	}
	return s
}

// own is a block of memory, made when it is first needed.
func own(block *[]float64) []float64 {
	if *block == nil {
		*block = make([]float64, vectorBlock)
	}
	return *block
}

// shift writes a series some bars back.
func (r *Run) shift(dst []float64, op *vectorOp, from int) {
	src := r.series(op.args[0])
	for i := range dst {
		if k := from + i - op.back; k >= 0 {
			dst[i] = src[k]
		} else {
			dst[i] = math.NaN()
		}
	}
}

// vectorise does an operation on blocks of one length.
func vectorise(op ir.Op, d, a, b, c []float64) {
	a = a[:len(d)]
	switch op {
	case ir.OpSet:
		copy(d, a)
		return
	case ir.OpNot, ir.OpIsNa, ir.OpAbs, ir.OpNeg, ir.OpFloor, ir.OpCeil, ir.OpTrunc, ir.OpSqrt, ir.OpToBool:
		for i, x := range a {
			d[i], _ = ir.Eval(op, x, 0, 0)
		}
		return
	}
	b = b[:len(d)]
	switch op {
	case ir.OpAdd:
		for i, x := range a {
			d[i] = x + b[i]
		}
	case ir.OpSub:
		for i, x := range a {
			d[i] = x - b[i]
		}
	case ir.OpMul:
		for i, x := range a {
			d[i] = x * b[i]
		}
	case ir.OpDiv:
		for i, x := range a {
			d[i] = x / b[i]
		}
	case ir.OpGt:
		for i, x := range a {
			d[i] = bit(x-b[i] > tolerance)
		}
	case ir.OpLt:
		for i, x := range a {
			d[i] = bit(x-b[i] < -tolerance)
		}
	case ir.OpAnd:
		for i, x := range a {
			d[i] = bit(isTrue(x) && isTrue(b[i]))
		}
	case ir.OpOr:
		for i, x := range a {
			d[i] = bit(isTrue(x) || isTrue(b[i]))
		}
	case ir.OpSelect:
		c = c[:len(d)]
		for i, x := range a {
			if isTrue(x) {
				d[i] = b[i]
			} else {
				d[i] = c[i]
			}
		}
	default:
		for i, x := range a {
			d[i], _ = ir.Eval(op, x, b[i], 0)
		}
	}
}
