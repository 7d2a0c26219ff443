package pine

import (
	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/syntax"
)

// opcode is what a machine instruction does. Those below firstOwn are ir's scalar operations.
type opcode uint16

const (
	opJump      opcode = iota + 64 // to c
	opJumpFalse                    // to c unless a
	opJumpTrue                     // to c if a
	opJumpGt                       // to c unless a > b
	opJumpLt                       // to c unless a < b
	opJumpEq                       // to c unless a = b
	opJumpGe                       // to c unless a ≥ b
	opJumpLe                       // to c unless a ≤ b
	opJumpNe                       // to c unless a ≠ b
	opJumpAnd                      // to c unless a and b
	opJumpOr                       // to c unless a or b
	opMulAdd                       // a·b + c
	opMulSub                       // a·b − c
	opSubMul                       // c − a·b
	opSkipDone                     // to c when flag b is set; sets it
	opPass                         // counts a pass of a loop
	opFunc                         // call c
	opSource
	opBarHist // series b, offset a
	opHist    // ring b, offset a
	opHistK   // ring b, c runs back
	opBarHistK
	opPush // ring b, value a
	opKernel
	opRead
	opOrder
	opObject
	opNew
	opField
	opSetField
	opSecurity
	opFail
	opGive     // the entry or exit of call c
	opValue    // the broker's value of call c
	opColHist  // column b, offset a
	opColHistK // column b, c bars back
	opEnd
)

// instr is one machine instruction on registers d, a, b; c is a register, a target or a call.
type instr struct {
	op      opcode
	d, a, b uint16
	c       int32
}

// callInfo is what an instruction with a list of registers needs.
type callInfo struct {
	name  string
	fn    function
	args  []uint16
	dst   []uint16
	n     int
	class string
	code  int // of reads, orders and object operations
	// orders says that it is an entry or exit; varying are then the arguments that are not constant in a trial.
	orders  bool
	varying []int
	pos     syntax.Pos
}

// code is a body made for the machine.
type code struct {
	instrs  []instr
	calls   []callInfo
	lines   []syntax.Pos // by instruction
	regs    int
	slots   []ir.Slot // by register
	consts  []regValue
	inputs  []regInput
	bars    []regInput // bar series in use
	fixed   []regInput // slots that are constant in a trial
	cols    []regInput // columns in use
	bits    []regInput // columns of bits in use
	outs    []regInput // columns written after each bar
	rings   []ir.Ring
	results []uint16 // of a sub-program
	flags   int
	// entry is where a bar begins once onceDone is set: past the declarations, at the beginning of the code, that run
	// once. 0: at the beginning.
	entry, onceDone int
	// position is the register of the position's size, when the code reads it.
	position      uint16
	readsPosition bool
	state         []uint16 // that bars hand on
	subs          []int    // sub-programs in use
}

type regValue struct {
	reg   uint16
	value float64
}

type regInput struct {
	reg   uint16
	index int
}
