package ir

import (
	"fmt"
	"math"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// Limits of a lowered script.
const (
	MaxInstructions = 50_000
	MaxOffset       = 5_000
)

type value struct {
	typ   *types.Type
	slots []Slot
}

func (v value) slot() Slot { return v.slots[0] }

type symbolKind uint8

const (
	symVar symbolKind = iota
	symFunc
	symType
	symEnum
)

type symbol struct {
	kind  symbolKind
	val   value
	funcs []*syntax.FuncDecl
	typ   *objectType
	enum  *syntax.EnumDecl
}

type objectType struct {
	decl   *syntax.TypeDecl
	typ    *types.Type
	fields []*types.Type
}

type scope map[string]*symbol

// lowerer makes a program of a tree.
type lowerer struct {
	p        *Program
	diags    *syntax.Diagnostics
	version  int
	block    *Block
	prologue Block
	scopes   []scope
	consts   map[constKey]Slot
	bars     [SeriesCount]Slot
	strings  map[string]int
	builtins map[string]value // variables with state, computed once a bar
	inputs   map[*syntax.Call]value
	inlining []*syntax.FuncDecl
	declName string
	own      map[Slot]ownSymbol
	count    int
	depth    int // of conditional blocks and loops
	loops    int // open loops of the function being lowered
	stack    []*Block
	over     bool
	declared bool
	warned   bool
	named    map[string]bool // names of inputs
	changing map[string]bool // names that := changes somewhere
	noted    map[string]bool
	plots    bool // plots are kept
	plotting bool // the arguments of one are lowered
}

type constKey struct {
	kind  types.Kind
	name  string
	value uint64
}

// ownSymbol marks a text that names the chart's own symbol.
type ownSymbol uint8

const (
	notOwn ownSymbol = iota
	ownStandard
	ownHeikinAshi
)

// Lower makes a program of a script. With errors among the diagnostics the program is not complete.
func Lower(script *syntax.Script, diags *syntax.Diagnostics) *Program {
	return lowered(script, diags, false)
}

func lowered(script *syntax.Script, diags *syntax.Diagnostics, plots bool) *Program {
	l := &lowerer{
		plots: plots,
		p:     &Program{Version: script.Version, EnumTitles: map[string][]string{}},
		diags: diags, version: script.Version, scopes: []scope{{}}, consts: map[constKey]Slot{}, strings: map[string]int{},
		builtins: map[string]value{}, inputs: map[*syntax.Call]value{}, own: map[Slot]ownSymbol{}, named: map[string]bool{}, noted: map[string]bool{},
	}
	l.p.Settings = defaultSettings(script.Version)
	l.block = &l.p.Code
	for i := range l.bars {
		t := types.FloatType
		if i >= SeriesTime {
			t = types.IntType
		}
		l.bars[i] = l.newSlot(SlotInfo{Kind: SlotBar, Index: i, Type: t, Name: SeriesNames[i]})
	}
	if script.Version < 1 || script.Version > 6 {
		l.errorAt(script.VersionAt, "P301", fmt.Sprintf("version %d of Pine Script is not known", script.Version), "use //@version=6")
		return l.p
	}
	l.hoistDeclarations(script.Body)
	l.changing = map[string]bool{}
	collectAssigned(script.Body, l.changing)
	l.statements(script.Body, false)
	if !l.declared && !diags.HasErrors() {
		l.errorAt(syntax.Pos{Line: 1, Column: 1}, "P302", "the script has no strategy() call", "declare it with strategy(\"Name\")")
	}
	l.p.Code = append(l.prologue, l.p.Code...)
	if !diags.HasErrors() {
		l.finish()
	}
	return l.p
}

func defaultSettings(version int) Settings {
	s := Settings{Capital: 1_000_000, QtyType: "fixed", Qty: 1, CommissionType: "percent", Given: map[string]bool{}}
	if version >= 6 {
		s.MarginLong, s.MarginShort = 100, 100
	}
	if version < 5 {
		s.Capital = 100_000
	}
	return s
}

func (l *lowerer) errorAt(p syntax.Pos, code, message, advice string) {
	l.diags.Add(p, syntax.Error, code, message, advice)
}

// note adds a remark once.
func (l *lowerer) note(p syntax.Pos, code, message string) {
	if !l.noted[message] {
		l.noted[message] = true
		l.diags.Add(p, syntax.Note, code, message, "")
	}
}

func (l *lowerer) newSlot(info SlotInfo) Slot {
	l.p.Slots = append(l.p.Slots, info)
	return Slot(len(l.p.Slots) - 1)
}

func (l *lowerer) temp(t *types.Type) Slot { return l.newSlot(SlotInfo{Type: t}) }

func (l *lowerer) info(s Slot) *SlotInfo { return &l.p.Slots[s] }

// constant is the slot of a fixed value.
func (l *lowerer) constant(t *types.Type, v float64) Slot {
	bits := math.Float64bits(v)
	if v != v {
		bits = math.Float64bits(math.NaN())
	}
	key := constKey{t.Kind, t.Name, bits}
	if t.IsReference() {
		key.name = t.String()
	}
	if s, ok := l.consts[key]; ok {
		return s
	}
	s := l.newSlot(SlotInfo{Kind: SlotConst, Type: t, Value: v})
	l.consts[key] = s
	return s
}

func (l *lowerer) text(s string) Slot {
	n, ok := l.strings[s]
	if !ok {
		n = len(l.p.Strings)
		l.p.Strings = append(l.p.Strings, s)
		l.strings[s] = n
	}
	return l.constant(types.StringType, float64(n))
}

// constText is a slot's fixed text.
func (l *lowerer) constText(s Slot) (string, bool) {
	info := l.info(s)
	if info.Kind != SlotConst || info.Type.Kind != types.String || info.Value != info.Value {
		return "", false
	}
	return l.p.Strings[int(info.Value)], true
}

func (l *lowerer) constNumber(s Slot) (float64, bool) {
	info := l.info(s)
	return info.Value, info.Kind == SlotConst && info.Type.Kind != types.String
}

func one(t *types.Type, s Slot) value { return value{t, []Slot{s}} }

func (l *lowerer) na() value { return one(types.NAType, l.constant(types.NAType, math.NaN())) }

func (l *lowerer) void() value { return value{typ: types.VoidType} }

func (l *lowerer) boolean(b bool) value {
	v := 0.0
	if b {
		v = 1
	}
	return one(types.BoolType, l.constant(types.BoolType, v))
}

// emit appends an instruction.
func (l *lowerer) emit(in *Inst) *Inst {
	if l.count++; l.count > MaxInstructions {
		if !l.over {
			l.over = true
			l.errorAt(in.Pos, "P403", fmt.Sprintf("the script has more than %d instructions once its functions are written out at each call", MaxInstructions), "call large functions fewer times")
		}
		return in
	}
	for _, d := range in.Dst {
		l.p.Slots[d].Sets++
	}
	*l.block = append(*l.block, in)
	return in
}

// op emits an operation with one result, or folds it.
func (l *lowerer) op(p syntax.Pos, op Op, t *types.Type, args ...Slot) Slot {
	if v, ok := l.fold(op, args); ok {
		return l.constant(t, v)
	}
	dst := l.temp(t)
	l.emit(&Inst{Op: op, Dst: []Slot{dst}, Args: args, Pos: p})
	return dst
}

func (l *lowerer) set(p syntax.Pos, dst, src Slot) {
	l.emit(&Inst{Op: OpSet, Dst: []Slot{dst}, Args: []Slot{src}, Pos: p})
}
