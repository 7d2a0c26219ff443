package ir

import (
	"slices"
	"strings"
)

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
			// Its writers depend on each other in a circle, so that one of them stands for all: with each of them
			// a variable that is written and read n times would have n² dependencies.
			if last := list[len(list)-1]; i > last && !circle {
				n.deps = append(n.deps, last)
			} else {
				both(i, list[0])
			}
		}
		if n.in.Op == OpPush {
			if list := writers[n.in.Args[0]]; len(list) > 0 {
				n.deps = append(n.deps, list[0])
			}
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
