package ir

import "math"

// fold computes an operation on constants.
func (l *lowerer) fold(op Op, args []Slot) (float64, bool) {
	var v [3]float64
	if len(args) > len(v) {
		return 0, false
	}
	for i, a := range args {
		info := l.info(a)
		if info.Kind != SlotConst {
			return 0, false
		}
		v[i] = info.Value
	}
	return Eval(op, v[0], v[1], v[2])
}

// tolerance is how far apart values may be that comparisons of a script take as equal.
const tolerance = 1e-10

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// True reports whether a value counts as true: na does not.
func True(v float64) bool { return v != 0 && v == v }

// Eval computes a pure operation of up to three arguments; ok is false for other operations.
func Eval(op Op, a, b, c float64) (result float64, ok bool) {
	switch op {
	case OpSet:
		return a, true
	case OpAdd:
		return a + b, true
	case OpSub:
		return a - b, true
	case OpMul:
		return a * b, true
	case OpDiv:
		return a / b, true
	case OpMod:
		return math.Mod(a, b), true
	case OpNeg:
		return -a, true
	case OpLt:
		return truth(a-b < -tolerance), true
	case OpLe:
		return truth(a-b <= tolerance || a == b), true
	case OpGt:
		return truth(a-b > tolerance), true
	case OpGe:
		return truth(a-b >= -tolerance || a == b), true
	case OpEq:
		return truth(a-b <= tolerance && a-b >= -tolerance || a == b), true
	case OpNe:
		return truth(a-b > tolerance || a-b < -tolerance), true
	case OpAnd:
		return truth(True(a) && True(b)), true
	case OpOr:
		return truth(True(a) || True(b)), true
	case OpNot:
		if a != a {
			return a, true
		}
		return truth(a == 0), true
	case OpSelect:
		if True(a) {
			return b, true
		}
		return c, true
	case OpMin:
		return math.Min(a, b), true
	case OpMax:
		return math.Max(a, b), true
	case OpAbs:
		return math.Abs(a), true
	case OpFloor:
		return math.Floor(a), true
	case OpCeil:
		return math.Ceil(a), true
	case OpTrunc:
		return math.Trunc(a), true
	case OpSqrt:
		return math.Sqrt(a), true
	case OpIsNa:
		return truth(a-a != 0 || a != a), true // what a division by zero gives counts as na
	case OpNz:
		if a != a {
			return b, true
		}
		return a, true
	case OpToBool:
		if a != a {
			return a, true
		}
		return truth(a > tolerance || a < -tolerance), true
	}
	return 0, false
}
