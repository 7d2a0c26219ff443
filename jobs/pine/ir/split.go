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

// node is a top-level instruction of the pure program.
type node struct {
	in         *Inst
	reads      []Slot // also inside
	writes     []Slot
	hists      []Slot // slots whose history it reads
	classes    []string
	deps       []int
	low, index int
	onStack    bool
	comp       int
}

// units partitions the pure program: instructions that depend on each other in a circle, through
// variables that change more than once a bar or collections, run together bar by bar; all others are
// computed column by column.
func (s *splitter) units() {
	nodes := make([]*node, 0, len(s.pure))
	for _, in := range s.pure {
		nodes = append(nodes, s.node(in))
	}
	s.connect(nodes)
	comps := components(nodes)
	s.group(nodes, comps)
}

func (s *splitter) node(in *Inst) *node {
	n := &node{in: in, comp: -1, index: -1}
	visit(Block{in}, func(x *Inst) {
		for i, a := range x.Args {
			if s.p.Slots[a].Kind != SlotVar || s.plan.IsConst[a] {
				continue
			}
			if x.Op == OpHist && i == 0 {
				n.hists = append(n.hists, a)
			} else {
				n.reads = append(n.reads, a)
			}
			if c := s.v.class(a); c != "" {
				n.classes = append(n.classes, c)
			}
		}
		for _, d := range x.Dst {
			n.writes = append(n.writes, d)
			if c := s.v.class(d); c != "" {
				n.classes = append(n.classes, c)
			}
		}
		if x.Class != "" {
			n.classes = append(n.classes, classOf(x.Class))
		}
	})
	return n
}

// connect finds what each node depends on.
func (s *splitter) connect(nodes []*node) {
	writers := map[Slot][]int{}
	for i, n := range nodes {
		for _, w := range n.writes {
			if list := writers[w]; len(list) == 0 || list[len(list)-1] != i {
				writers[w] = append(list, i)
			}
		}
	}
	both := func(a, b int) {
		if a != b {
			nodes[a].deps = append(nodes[a].deps, b)
			nodes[b].deps = append(nodes[b].deps, a)
		}
	}
	for _, list := range writers {
		for i := 1; i < len(list); i++ {
			both(list[i-1], list[i])
		}
	}
	lastOf := map[string]int{}
	for i, n := range nodes {
		for _, c := range n.classes {
			if j, ok := lastOf[c]; ok {
				both(i, j)
			}
			lastOf[c] = i
		}
		reads := func(slot Slot, circle bool) {
			list := writers[slot]
			if len(list) == 0 {
				return
			}
			if last := list[len(list)-1]; i > last && !circle {
				n.deps = append(n.deps, last)
			} else {
				for _, w := range list {
					both(i, w)
				}
			}
		}
		if n.in.Op == OpPush {
			n.deps = append(n.deps, writers[n.in.Args[0]]...)
			continue
		}
		for _, r := range n.reads {
			reads(r, false)
		}
		for _, h := range n.hists {
			reads(h, !s.rings[h])
		}
	}
}

// components are Tarjan's: each depends on earlier ones only.
func components(nodes []*node) [][]int {
	var comps [][]int
	var stack []int
	next := 0
	var walk func(i int)
	walk = func(i int) {
		n := nodes[i]
		n.index, n.low = next, next
		next++
		stack = append(stack, i)
		n.onStack = true
		for _, d := range n.deps {
			m := nodes[d]
			if m.index < 0 {
				walk(d)
				n.low = min(n.low, m.low)
			} else if m.onStack {
				n.low = min(n.low, m.index)
			}
		}
		if n.low != n.index {
			return
		}
		var comp []int
		for {
			j := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			nodes[j].onStack = false
			nodes[j].comp = len(comps)
			comp = append(comp, j)
			if j == i {
				break
			}
		}
		slices.Sort(comp)
		comps = append(comps, comp)
	}
	for i := range nodes {
		if nodes[i].index < 0 {
			walk(i)
		}
	}
	return comps
}

// placed is a component on its way into a unit.
type placed struct {
	kind   UnitKind
	inputs []int
	level  int
}

// group merges components of one kind, level and set of inputs into units.
func (s *splitter) group(nodes []*node, comps [][]int) {
	type unitKey struct {
		kind   UnitKind
		inputs string
		level  int
		comp   int // kernels stand alone
	}
	uniformInputs := s.uniformInputs()
	where := make([]placed, len(comps))
	members := map[unitKey][]int{}
	var keys []unitKey
	for c, comp := range comps {
		if nodes[comp[0]].in.Op == OpPush {
			continue
		}
		pl := placed{kind: s.kindOf(nodes, comp)}
		var inputs []int
		for _, i := range comp {
			visit(Block{nodes[i].in}, func(in *Inst) {
				for _, a := range in.Args {
					if s.p.Slots[a].Kind == SlotInput {
						inputs = append(inputs, s.p.Slots[a].Index)
					}
					inputs = append(inputs, uniformInputs[a]...)
				}
				if in.Op == OpSecurity {
					inputs = append(inputs, s.subInputs(in.N)...)
				}
			})
			for _, d := range nodes[i].deps {
				if nodes[d].comp != c {
					inputs = append(inputs, where[nodes[d].comp].inputs...)
				}
			}
		}
		slices.Sort(inputs)
		pl.inputs = slices.Compact(inputs)
		for _, i := range comp {
			for _, d := range nodes[i].deps {
				if w := where[nodes[d].comp]; nodes[d].comp != c {
					level := w.level
					if pl.kind == UnitKernel || w.kind != pl.kind || !slices.Equal(w.inputs, pl.inputs) {
						level++
					}
					pl.level = max(pl.level, level)
				}
			}
		}
		where[c] = pl
		key := unitKey{pl.kind, inputKey(pl.inputs), pl.level, -1}
		if pl.kind == UnitKernel {
			key.comp = c
		}
		if _, ok := members[key]; !ok {
			keys = append(keys, key)
		}
		members[key] = append(members[key], comp...)
	}
	slices.SortStableFunc(keys, func(a, b unitKey) int { return a.level - b.level })
	for _, k := range keys {
		list := members[k]
		slices.Sort(list)
		s.unit(nodes, list, k.kind, where[nodes[list[0]].comp].inputs)
	}
	s.number()
}

func inputKey(inputs []int) string {
	var b strings.Builder
	for _, i := range inputs {
		b.WriteByte(byte(i))
		b.WriteByte(byte(i >> 8))
	}
	return b.String()
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

// kindOf decides how a component is computed.
func (s *splitter) kindOf(nodes []*node, comp []int) UnitKind {
	if len(comp) > 1 {
		return UnitSteps
	}
	in := nodes[comp[0]].in
	switch {
	case in.Op == OpKernel:
		return UnitKernel
	case in.Op <= OpToBool && in.Op != OpFunc && s.v.writers[in.Dst[0]] == 1:
		return UnitVector
	case in.Op == OpBarHist && s.p.Slots[in.Args[0]].Kind == SlotConst && s.p.Slots[in.Args[0]].Value >= 0:
		return UnitVector
	case in.Op == OpHist && s.rings[in.Args[0]] && s.p.Slots[in.Args[1]].Kind == SlotConst && s.p.Slots[in.Args[1]].Value >= 0:
		return UnitVector
	}
	return UnitSteps
}

// unit makes a unit of nodes; histories of its own variables keep their records.
func (s *splitter) unit(nodes []*node, list []int, kind UnitKind, inputs []int) {
	u := &Unit{Kind: kind, Inputs: inputs, Body: Body{Rings: s.p.Rings}}
	written, needRing := map[Slot]bool{}, map[Slot]bool{}
	for _, i := range list {
		for _, w := range nodes[i].writes {
			written[w] = true
		}
	}
	for _, i := range list {
		for _, h := range nodes[i].hists {
			needRing[h] = kind == UnitSteps && written[h]
		}
	}
	in := map[Slot]bool{}
	j := 0
	for i, n := range nodes {
		switch {
		case j < len(list) && list[j] == i:
			j++
			u.Body.Code = append(u.Body.Code, n.in)
			for _, r := range slices.Concat(n.reads, n.hists) {
				if !written[r] {
					in[r] = true
				}
			}
		case n.in.Op == OpPush && needRing[n.in.Args[0]]:
			u.Body.Code = append(u.Body.Code, n.in)
		}
	}
	for r := range in {
		u.In = append(u.In, r)
	}
	slices.Sort(u.In)
	s.plan.Units = append(s.plan.Units, u)
}

// number finds which slots must be columns, and numbers them.
func (s *splitter) number() {
	wanted := map[Slot]bool{}
	for _, u := range s.plan.Units {
		for _, r := range u.In {
			wanted[r] = true
		}
		if u.Kind == UnitVector {
			visit(u.Body.Code, func(in *Inst) {
				if in.Op == OpHist {
					wanted[in.Args[0]] = true
				}
			})
		}
	}
	visit(s.plan.Residue.Code, func(in *Inst) {
		for _, a := range in.Args {
			if s.p.Slots[a].Kind == SlotVar && !s.v.slots[a] && !s.plan.IsConst[a] {
				wanted[a] = true
			}
		}
	})
	for _, u := range s.plan.Units {
		seen := map[Slot]bool{}
		visit(u.Body.Code, func(in *Inst) {
			for _, d := range in.Dst {
				if (wanted[d] || u.Kind == UnitKernel) && !seen[d] {
					seen[d] = true
					u.Out = append(u.Out, d)
					s.plan.Columns[d] = len(s.plan.Order)
					s.plan.Order = append(s.plan.Order, d)
				}
			}
		})
	}
}
