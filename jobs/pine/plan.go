package pine

import (
	"math"
	"slices"
	"strings"

	"millrace/jobs/pine/ir"
)

// planCode is a split program made for execution.
type planCode struct {
	plan    *ir.Plan
	uniform *code
	units   []*unitCode
	residue *code
	events  events
	idle    idle // of a residue that keeps state
	bits    bitPlan
	// extremes says that the script reads what the broker follows inside bars.
	extremes bool
}

// unitCode computes one unit's columns.
type unitCode struct {
	unit *ir.Unit
	code *code      // of UnitSteps
	ops  []vectorOp // of UnitVector
	temp int        // blocks that vector operations keep between them
	law  string     // of UnitKernel
	args []operand
	out  []int // column numbers
}

// operand is where a value of a column operation comes from.
type operand struct {
	kind  operandKind
	index int
	value float64
}

type operandKind uint8

const (
	fromConst operandKind = iota
	fromInput
	fromFixed
	fromBar
	fromColumn
	fromTemp
)

type vectorOp struct {
	op   ir.Op
	back int // of histories
	dst  operand
	args [3]operand
	n    int
}

func planFor(p *ir.Program) (*planCode, error) {
	plan := ir.Split(p)
	pc := &planCode{plan: plan, events: findEvents(p, plan)}
	if pc.events.always {
		pc.events.guards = nil
		pc.idle = findIdle(p, plan)
	}
	pc.bits = planBits(plan, pc.events.guards, pc.idle.guards)
	var err error
	if pc.uniform, err = generate(p, &ir.Body{Code: plan.Uniform}, nil, written(plan.Uniform)...); err != nil {
		return nil, err
	}
	for _, u := range plan.Units {
		uc := &unitCode{unit: u}
		for _, s := range u.Out {
			uc.out = append(uc.out, plan.Columns[s])
		}
		switch u.Kind {
		case ir.UnitKernel:
			in := u.Body.Code[0]
			uc.law = in.Name
			for _, a := range in.Args {
				uc.args = append(uc.args, pc.operand(p, a, nil))
			}
		case ir.UnitVector:
			pc.vector(p, uc)
		default:
			if uc.code, err = generate(p, &u.Body, pc, u.Out...); err != nil {
				return nil, err
			}
			for _, s := range u.Out {
				uc.code.outs = append(uc.code.outs, regInput{regOf(uc.code, p, s), plan.Columns[s]})
			}
		}
		pc.units = append(pc.units, uc)
	}
	if pc.residue, err = generate(p, &plan.Residue, pc); err != nil {
		return nil, err
	}
	pc.idleState(p)
	pc.extremes = readsExtremes(plan.Residue.Code)
	return pc, nil
}

// idleState finds the registers of the state that an idle bar may change.
func (pc *planCode) idleState(p *ir.Program) {
	for _, s := range pc.idle.state {
		pc.residue.state = append(pc.residue.state, regOf(pc.residue, p, s))
	}
}

// readsExtremes says whether a block reads a drawdown or run-up.
func readsExtremes(b ir.Block) bool {
	for _, in := range b {
		if in.Op == ir.OpRead && (strings.Contains(in.Name, "drawdown") || strings.Contains(in.Name, "runup")) {
			return true
		}
		if slices.ContainsFunc(in.Blocks, readsExtremes) {
			return true
		}
	}
	return false
}

// written are the slots a block writes.
func written(b ir.Block) []ir.Slot {
	var slots []ir.Slot
	for _, in := range b {
		slots = append(slots, in.Dst...)
	}
	return slots
}

// operand finds where a slot's values are; temps are those of a vector unit.
func (pc *planCode) operand(p *ir.Program, s ir.Slot, temps map[ir.Slot]int) operand {
	info := p.Slots[s]
	switch info.Kind {
	case ir.SlotConst:
		return operand{kind: fromConst, value: info.Value}
	case ir.SlotInput:
		return operand{kind: fromInput, index: info.Index}
	case ir.SlotBar:
		return operand{kind: fromBar, index: info.Index}
	}
	if pc.plan.IsConst[s] {
		return operand{kind: fromFixed, index: int(s)}
	}
	if n, ok := pc.plan.Columns[s]; ok {
		return operand{kind: fromColumn, index: n}
	}
	if n, ok := temps[s]; ok {
		return operand{kind: fromTemp, index: n}
	}
	return operand{kind: fromConst, value: math.NaN()}
}

// vector makes the operations of a unit; what no other unit reads lives in blocks only.
func (pc *planCode) vector(p *ir.Program, uc *unitCode) {
	temps := map[ir.Slot]int{}
	for _, in := range uc.unit.Body.Code {
		if _, isColumn := pc.plan.Columns[in.Dst[0]]; !isColumn {
			temps[in.Dst[0]] = uc.temp
			uc.temp++
		}
	}
	for _, in := range uc.unit.Body.Code {
		op := vectorOp{op: in.Op, dst: pc.operand(p, in.Dst[0], temps), n: len(in.Args)}
		switch in.Op {
		case ir.OpBarHist:
			op.args[0], op.n = operand{kind: fromBar, index: in.N}, 1
			op.back = offset(p.Slots[in.Args[0]].Value)
		case ir.OpHist:
			op.args[0], op.n = pc.operand(p, in.Args[0], temps), 1
			op.back = offset(p.Slots[in.Args[1]].Value)
		default:
			for i, a := range in.Args {
				op.args[i] = pc.operand(p, a, temps)
			}
		}
		uc.ops = append(uc.ops, op)
	}
}

// offset is a constant offset; na reaches before the first bar.
func offset(v float64) int {
	if v != v {
		return math.MaxInt32
	}
	return int(v)
}
