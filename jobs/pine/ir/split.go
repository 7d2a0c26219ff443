package ir

import (
	"slices"
	"strings"
)

// UnitKind says how a unit's columns are computed.
type UnitKind uint8

// The kinds of units.
const (
	UnitVector UnitKind = iota // elementwise operations, block by block
	UnitKernel                 // one law of ta over whole columns
	UnitSteps                  // instructions bar by bar
)

// Unit computes columns that depend on bars and inputs only.
type Unit struct {
	Kind   UnitKind
	Body   Body
	Out    []Slot // what others read
	In     []Slot // columns of other units it reads
	Inputs []int  // inputs that reach it, in order
}

// Plan is a program split into what is constant in a trial, columns, and the residue that depends on
// the broker.
type Plan struct {
	Uniform Block // scalar operations on constants and inputs
	Units   []*Unit
	Residue Body
	Columns map[Slot]int // numbers of the slots that are columns
	Order   []Slot       // the columns' slots by number
	IsConst map[Slot]bool
}

// splitter makes a plan.
type splitter struct {
	p     *Program
	v     *purity
	plan  *Plan
	pure  Block
	last  map[Slot]int // the last top-level instruction that writes a slot
	first map[Slot]int
	rings map[Slot]bool // recorded on every bar
}

// Split makes a plan of a program. The program stays as it is.
func Split(p *Program) *Plan {
	body := &Body{Code: clone(p.Code), Rings: p.Rings}
	s := &splitter{p: p, v: findImpure(p, body), plan: &Plan{Columns: map[Slot]int{}, IsConst: map[Slot]bool{}}, last: map[Slot]int{}, first: map[Slot]int{}, rings: map[Slot]bool{}}
	for i, in := range body.Code {
		visit(Block{in}, func(x *Inst) {
			for _, d := range x.Dst {
				if _, ok := s.first[d]; !ok {
					s.first[d] = i
				}
				s.last[d] = i
			}
		})
	}
	for i, in := range body.Code {
		s.separate(in, i, &s.pure, &s.plan.Residue.Code)
	}
	for _, in := range s.pure {
		if in.Op == OpPush {
			s.rings[in.Args[0]] = true
		}
	}
	s.plan.Residue.Rings = p.Rings
	s.uniform()
	s.units()
	return s.plan
}

// separate puts an instruction, or its parts, into the pure program or the residue.
func (s *splitter) separate(in *Inst, at int, pure, residue *Block) {
	if in.Op == OpIf && !(s.v.impure[in] && !s.v.slots[in.Args[0]]) {
		condPure := !s.v.slots[in.Args[0]]
		var pureParts, residueParts [2]Block
		for i, b := range in.Blocks {
			to := pure
			if condPure {
				to = &pureParts[i]
			}
			for _, c := range b {
				s.separate(c, at, to, &residueParts[i])
			}
		}
		if condPure && len(pureParts[0])+len(pureParts[1]) > 0 {
			*pure = append(*pure, &Inst{Op: OpIf, Args: in.Args, Blocks: pureParts[:], Pos: in.Pos})
		}
		if len(residueParts[0])+len(residueParts[1]) > 0 {
			rest := &Inst{Op: OpIf, Args: in.Args, Blocks: residueParts[:], Pos: in.Pos}
			s.snapshot(rest, at, pure)
			*residue = append(*residue, rest)
		}
		return
	}
	if !s.v.impure[in] {
		*pure = append(*pure, in)
		return
	}
	visit(Block{in}, func(x *Inst) { s.snapshot(x, at, pure) })
	*residue = append(*residue, in)
}

// snapshot gives a residue instruction the values that pure variables have where it stands, when they
// change later on the bar.
func (s *splitter) snapshot(in *Inst, at int, pure *Block) {
	for i, a := range in.Args {
		if s.p.Slots[a].Kind != SlotVar || s.v.slots[a] || s.v.writers[a] < 2 || at > s.last[a] || in.Op == OpHist && i == 0 {
			continue
		}
		s.p.Slots = append(s.p.Slots, SlotInfo{Type: s.p.Slots[a].Type, Name: s.p.Slots[a].Name, Sets: 1})
		copied := Slot(len(s.p.Slots) - 1)
		s.v.slots = append(s.v.slots, false)
		s.v.writers = append(s.v.writers, 1)
		s.first[copied], s.last[copied] = at, at
		*pure = append(*pure, &Inst{Op: OpSet, Dst: []Slot{copied}, Args: []Slot{a}, Pos: in.Pos})
		in.Args = slices.Clone(in.Args)
		in.Args[i] = copied
	}
}

// uniform takes out what depends on constants and inputs only.
func (s *splitter) uniform() {
	var rest Block
	for _, in := range s.pure {
		ok := in.Op <= OpToBool && in.Op != OpFunc || in.Op == OpFunc && (strings.HasPrefix(in.Name, "math.") || fixedText(in.Name) || strings.HasPrefix(in.Name, "timeframe.is") || in.Name == "timeframe.multiplier")
		for _, a := range in.Args {
			kind := s.p.Slots[a].Kind
			ok = ok && (kind == SlotConst || kind == SlotInput || s.plan.IsConst[a])
		}
		for _, d := range in.Dst {
			ok = ok && s.v.writers[d] == 1 && !s.rings[d]
		}
		if !ok || len(in.Dst) != 1 {
			rest = append(rest, in)
			continue
		}
		s.plan.IsConst[in.Dst[0]] = true
		s.plan.Uniform = append(s.plan.Uniform, in)
	}
	s.pure = rest
}

func (s *splitter) uniformInputs() map[Slot][]int {
	reach := map[Slot][]int{}
	for _, in := range s.plan.Uniform {
		var inputs []int
		for _, a := range in.Args {
			if s.p.Slots[a].Kind == SlotInput {
				inputs = append(inputs, s.p.Slots[a].Index)
			}
			inputs = append(inputs, reach[a]...)
		}
		reach[in.Dst[0]] = inputs
	}
	return reach
}

func (s *splitter) subInputs(n int) []int {
	var inputs []int
	visit(s.p.Subs[n].Code, func(in *Inst) {
		for _, a := range in.Args {
			if s.p.Slots[a].Kind == SlotInput {
				inputs = append(inputs, s.p.Slots[a].Index)
			}
		}
		if in.Op == OpSecurity {
			inputs = append(inputs, s.subInputs(in.N)...)
		}
	})
	for _, r := range s.p.Subs[n].Results {
		if s.p.Slots[r].Kind == SlotInput {
			inputs = append(inputs, s.p.Slots[r].Index)
		}
	}
	return inputs
}
