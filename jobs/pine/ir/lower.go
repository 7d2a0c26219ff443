package ir

import (
	"fmt"
	"math"
	"slices"

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
	l := &lowerer{
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

// inBlock lowers into a new block.
func (l *lowerer) inBlock(f func()) Block {
	var b Block
	outer := l.block
	l.stack = append(l.stack, outer)
	l.block = &b
	f()
	l.block = outer
	l.stack = l.stack[:len(l.stack)-1]
	return b
}

func (l *lowerer) push() { l.scopes = append(l.scopes, scope{}) }
func (l *lowerer) pop()  { l.scopes = l.scopes[:len(l.scopes)-1] }

func (l *lowerer) find(name string) *symbol {
	for i := len(l.scopes) - 1; i >= 0; i-- {
		if s := l.scopes[i][name]; s != nil {
			return s
		}
	}
	return nil
}

func (l *lowerer) declare(name string, s *symbol) { l.scopes[len(l.scopes)-1][name] = s }

// hoistDeclarations makes types and enums known before the first statement, and warns of nothing:
// scripts may use them only after their declaration, but which comes first changes no meaning.
func (l *lowerer) hoistDeclarations(body []syntax.Stmt) {
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.TypeDecl:
			l.declare(s.Name, &symbol{kind: symType, typ: &objectType{decl: s, typ: &types.Type{Kind: types.Object, Name: s.Name}}})
		case *syntax.EnumDecl:
			titles := make([]string, len(s.Fields))
			for i, f := range s.Fields {
				titles[i] = f.Name
				if t, ok := f.Default.(*syntax.Text); ok {
					titles[i] = t.Value
				}
			}
			l.p.EnumTitles[s.Name] = titles
			l.declare(s.Name, &symbol{kind: symEnum, enum: s})
		}
	}
	for _, s := range body {
		if s, ok := s.(*syntax.TypeDecl); ok {
			t := l.find(s.Name).typ
			for _, f := range s.Fields {
				t.fields = append(t.fields, l.resolve(f.Type))
			}
		}
	}
}

// resolve finds a written type.
func (l *lowerer) resolve(ref *syntax.TypeRef) *types.Type {
	if ref == nil {
		return nil
	}
	var t *types.Type
	switch {
	case ref.Name == "array" && len(ref.Args) == 1:
		t = types.ArrayOf(l.resolve(ref.Args[0]))
	case ref.Name == "matrix" && len(ref.Args) == 1:
		t = types.MatrixOf(l.resolve(ref.Args[0]))
	case ref.Name == "map" && len(ref.Args) == 2:
		t = &types.Type{Kind: types.Map, Key: l.resolve(ref.Args[0]), Elem: l.resolve(ref.Args[1])}
	default:
		t = types.Scalar(ref.Name)
		if t == nil && types.IsDrawing(ref.Name) {
			t = types.HandleOf(ref.Name)
		}
		if s := l.find(ref.Name); t == nil && s != nil {
			switch s.kind {
			case symType:
				t = s.typ.typ
			case symEnum:
				t = &types.Type{Kind: types.Enum, Name: ref.Name}
			}
		}
	}
	if t == nil {
		l.errorAt(ref.Pos, "P205", fmt.Sprintf("the type %q is not known", ref.Name), "declare it before its use")
		t = types.FloatType
	}
	if ref.Array {
		t = types.ArrayOf(t)
	}
	return t
}

// statements lowers a block; its value is that of its last statement when wanted.
func (l *lowerer) statements(body []syntax.Stmt, want bool) value {
	last := l.void()
	for i, s := range body {
		if l.over {
			break
		}
		last = l.statement(s, want && i == len(body)-1)
	}
	return last
}

func (l *lowerer) statement(s syntax.Stmt, want bool) value {
	switch s := s.(type) {
	case *syntax.Decl:
		return l.decl(s)
	case *syntax.TupleDecl:
		return l.tupleDecl(s)
	case *syntax.Assign:
		return l.assign(s)
	case *syntax.ExprStmt:
		return l.expr(s.X, want)
	case *syntax.FuncDecl:
		l.funcDecl(s)
	case *syntax.Import:
		l.errorAt(s.Pos, "P306", "libraries are not available", "copy the functions you use into the script")
	case *syntax.Break, *syntax.Continue:
		if l.loops == 0 {
			l.errorAt(s.At(), "P206", "break and continue belong into a loop", "remove it")
			break
		}
		op := OpBreak
		if _, ok := s.(*syntax.Continue); ok {
			op = OpContinue
		}
		l.emit(&Inst{Op: op, Pos: s.At()})
	case *syntax.TypeDecl, *syntax.EnumDecl:
		if len(l.scopes) > 1 {
			l.errorAt(s.At(), "P206", "types and enums are declared at the script's outermost level", "move it there")
		}
	}
	return l.void()
}

func (l *lowerer) funcDecl(s *syntax.FuncDecl) {
	if len(l.scopes) > 1 {
		l.errorAt(s.Pos, "P206", "functions are declared at the script's outermost level", "move it there")
		return
	}
	if have := l.scopes[0][s.Name]; have != nil && have.kind == symFunc {
		have.funcs = append(have.funcs, s)
		return
	}
	if have := l.scopes[0][s.Name]; have != nil && have.kind != symFunc {
		// A function may share its name with a variable only before version 5; the call decides.
		l.declare(s.Name+"()", &symbol{kind: symFunc, funcs: []*syntax.FuncDecl{s}})
		return
	}
	l.declare(s.Name, &symbol{kind: symFunc, funcs: []*syntax.FuncDecl{s}})
}

// convert gives v as type t, with an error when it cannot be.
func (l *lowerer) convert(p syntax.Pos, v value, t *types.Type, what string) value {
	if v.typ.Kind == types.Void || v.typ.Kind == types.Tuple {
		l.errorAt(p, "P203", fmt.Sprintf("%s wants a %s and gets %s", what, t, describe(v.typ)), "")
		return one(t, l.constant(t, math.NaN()))
	}
	if !types.Accepts(t, v.typ, l.version) {
		advice := ""
		if t.Kind == types.Bool && v.typ.IsNumber() {
			advice = "from version 6 on compare it, as in x != 0"
		}
		l.errorAt(p, "P203", fmt.Sprintf("%s wants a %s and gets a %s", what, t, v.typ), advice)
		return one(t, l.constant(t, math.NaN()))
	}
	switch {
	case v.typ.Kind == types.NA:
		if t.Kind == types.Bool && l.version >= 6 {
			l.errorAt(p, "P203", what+" wants a bool, which is never na from version 6 on", "use false")
		}
		return one(t, l.constant(t, math.NaN()))
	case t.Kind == types.Bool && v.typ.IsNumber():
		return one(t, l.op(p, OpToBool, t, v.slot()))
	case t.Kind == types.Float && v.typ.Kind == types.Int && l.info(v.slot()).Kind == SlotConst:
		return one(t, l.constant(t, l.info(v.slot()).Value))
	}
	return one(t, v.slot())
}

func describe(t *types.Type) string {
	switch t.Kind {
	case types.Void:
		return "nothing"
	case types.Tuple:
		return "several values"
	}
	return "a " + t.String()
}

// selfReferent reports whether an expression reads name, which it is about to declare.
func (l *lowerer) selfReferent(name string, x syntax.Expr) bool {
	return l.version <= 3 && l.find(name) == nil && mentions(x, name)
}

func (l *lowerer) decl(s *syntax.Decl) value {
	t := l.resolve(s.Type)
	outer := l.declName
	l.declName = s.Name
	defer func() { l.declName = outer }()
	if s.Mode != "" {
		return l.persistent(s, t)
	}
	if l.selfReferent(s.Name, s.Value) {
		return l.selfDeclared(s)
	}
	v := l.expr(s.Value, true)
	if len(v.slots) > 1 {
		l.errorAt(s.Pos, "P203", fmt.Sprintf("%s gets %d values", s.Name, len(v.slots)), "declare as many names in brackets")
		v = l.na()
	}
	if t != nil {
		v = l.convert(s.Value.At(), v, t, s.Name)
	}
	if v.typ.Kind == types.Void {
		if !l.diags.HasErrors() {
			l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s gets no value", s.Name), "")
		}
		v = l.na()
	}
	if v.typ.Kind == types.NA {
		// Old scripts leave the type open; the first assignment decides.
		v.typ = l.guess(s.Name)
	}
	return l.bind(s, v)
}

// guess is the type of a variable declared as na.
func (l *lowerer) guess(string) *types.Type { return types.FloatType }

// collectAssigned finds the names that are changed after their declaration.
func collectAssigned(body []syntax.Stmt, names map[string]bool) {
	walkStatements(body, func(s syntax.Stmt) {
		switch s := s.(type) {
		case *syntax.Assign:
			if id, ok := s.Target.(*syntax.Ident); ok {
				names[id.Name] = true
			}
		case *syntax.FuncDecl:
			collectAssigned(s.Body, names)
		}
	})
}

// bind declares a variable with its first value; one that never changes is another name of what never
// changes itself.
func (l *lowerer) bind(s *syntax.Decl, v value) value {
	if kind := l.info(v.slot()).Kind; kind != SlotVar && !l.changing[s.Name] && types.Same(l.info(v.slot()).Type, v.typ) {
		l.declare(s.Name, &symbol{kind: symVar, val: v})
		return v
	}
	slot := l.newSlot(SlotInfo{Type: v.typ, Name: s.Name})
	l.set(s.Pos, slot, v.slot())
	if o := l.own[v.slot()]; o != notOwn {
		l.own[slot] = o
	}
	out := one(v.typ, slot)
	l.declare(s.Name, &symbol{kind: symVar, val: out})
	return out
}

// selfDeclared lowers x = f(x[1]) of versions 1 to 3.
func (l *lowerer) selfDeclared(s *syntax.Decl) value {
	slot := l.newSlot(SlotInfo{Type: types.FloatType, Name: s.Name})
	l.set(s.Pos, slot, l.constant(types.FloatType, math.NaN()))
	out := one(types.FloatType, slot)
	sym := &symbol{kind: symVar, val: out}
	l.declare(s.Name, sym)
	v := l.expr(s.Value, true)
	if len(v.slots) == 1 {
		if v.typ.Kind == types.Bool || v.typ.Kind == types.Int {
			l.info(slot).Type = v.typ
			sym.val.typ, out.typ = v.typ, v.typ
		}
		l.set(s.Pos, slot, v.slot())
	}
	return out
}

// persistent lowers var and varip.
func (l *lowerer) persistent(s *syntax.Decl, t *types.Type) value {
	if s.Mode == "varip" {
		l.note(s.Pos, "P902", "varip is var: bars are seen once, on their close")
	}
	slot := l.newSlot(SlotInfo{Type: types.FloatType, Name: s.Name})
	flag := l.p.Flags
	l.p.Flags++
	var v value
	l.depth++
	body := l.inBlock(func() {
		v = l.expr(s.Value, true)
		if len(v.slots) != 1 {
			if !l.diags.HasErrors() {
				l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s wants one value", s.Name), "")
			}
			v = l.na()
		}
		if t != nil {
			v = l.convert(s.Value.At(), v, t, s.Name)
		}
		if v.typ.Kind == types.NA {
			v.typ = l.guess(s.Name)
		}
		l.set(s.Pos, slot, v.slot())
	})
	l.depth--
	l.info(slot).Type = v.typ
	l.emit(&Inst{Op: OpOnce, N: flag, Blocks: []Block{body}, Pos: s.Pos})
	l.set(s.Pos, slot, slot) // the scope ran: a history has a new entry
	out := one(v.typ, slot)
	l.declare(s.Name, &symbol{kind: symVar, val: out})
	return out
}

func (l *lowerer) tupleDecl(s *syntax.TupleDecl) value {
	v := l.expr(s.Value, true)
	if len(v.slots) != len(s.Names) {
		if !l.diags.HasErrors() {
			l.errorAt(s.Pos, "P203", fmt.Sprintf("%d names get %d values", len(s.Names), len(v.slots)), "declare as many names as the call gives values")
		}
		for _, name := range s.Names {
			l.declare(name, &symbol{kind: symVar, val: one(types.FloatType, l.constant(types.FloatType, math.NaN()))})
		}
		return l.void()
	}
	for i, name := range s.Names {
		t := v.typ
		if t.Kind == types.Tuple {
			t = t.Items[i]
		}
		if t.Kind == types.NA {
			t = types.FloatType
		}
		slot := l.newSlot(SlotInfo{Type: t, Name: name})
		l.set(s.Pos, slot, v.slots[i])
		l.declare(name, &symbol{kind: symVar, val: one(t, slot)})
	}
	return l.void()
}

func (l *lowerer) assign(s *syntax.Assign) value {
	if m, ok := s.Target.(*syntax.Member); ok {
		return l.assignField(s, m)
	}
	name := s.Target.(*syntax.Ident).Name
	sym := l.find(name)
	if sym == nil || sym.kind != symVar {
		if sym == nil && l.version < 4 && s.Op == ":=" {
			return l.decl(&syntax.Decl{Node: s.Node, Name: name, Value: s.Value})
		}
		l.errorAt(s.Pos, "P201", fmt.Sprintf("%q is not declared", name), "declare it with “=” first")
		return l.void()
	}
	if len(l.inlining) > 0 && l.scopes[0][name] == sym {
		l.errorAt(s.Pos, "P207", fmt.Sprintf("a function cannot change the global variable %q", name), "return the new value and assign it where the function is called")
		return l.void()
	}
	old := sym.val
	v := l.assigned(s, old)
	if len(v.slots) != 1 {
		if !l.diags.HasErrors() {
			l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s wants one value", name), "")
		}
		return l.void()
	}
	if v.typ.Kind != types.NA && !types.Accepts(old.typ, v.typ, l.version) && l.open(old) {
		// Declared as na without a type: the first value decides.
		sym.val.typ, old.typ = v.typ, v.typ
		l.info(old.slot()).Type = v.typ
	}
	if v.typ.Kind == types.NA && old.typ.Kind == types.Bool && l.version >= 6 {
		l.errorAt(s.Value.At(), "P203", name+" is a bool, which is never na from version 6 on", "use false")
	}
	v = l.convert(s.Value.At(), v, old.typ, name)
	if l.info(old.slot()).Kind != SlotVar {
		l.errorAt(s.Pos, "P207", fmt.Sprintf("%q cannot be changed", name), "declare a variable for it")
		return old
	}
	l.set(s.Pos, old.slot(), v.slot())
	delete(l.own, old.slot())
	return old
}

// open reports whether a variable was declared as na without a type.
func (l *lowerer) open(v value) bool { return v.typ.Kind == types.Float }

func (l *lowerer) assigned(s *syntax.Assign, old value) value {
	v := l.expr(s.Value, true)
	if s.Op == ":=" || len(v.slots) != 1 {
		return v
	}
	return l.arithmetic(s.Pos, s.Op[:1], old, v)
}

func (l *lowerer) assignField(s *syntax.Assign, m *syntax.Member) value {
	x := l.expr(m.X, true)
	if x.typ.Kind != types.Object {
		l.errorAt(s.Pos, "P201", fmt.Sprintf("%q cannot be assigned to", m.Name), "")
		return l.void()
	}
	n, t := l.field(x.typ, m)
	if n < 0 {
		return l.void()
	}
	var v value
	if s.Op == ":=" {
		v = l.expr(s.Value, true)
	} else {
		old := l.temp(t)
		l.emit(&Inst{Op: OpField, Dst: []Slot{old}, Args: []Slot{x.slot()}, N: n, Class: x.typ.String(), Pos: s.Pos})
		v = l.assigned(s, one(t, old))
	}
	if len(v.slots) != 1 {
		l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s wants one value", m.Name), "")
		return l.void()
	}
	v = l.convert(s.Value.At(), v, t, m.Name)
	l.emit(&Inst{Op: OpSetField, Args: []Slot{x.slot(), v.slot()}, N: n, Class: x.typ.String(), Pos: s.Pos})
	return v
}

// field finds a field's number and type.
func (l *lowerer) field(t *types.Type, m *syntax.Member) (int, *types.Type) {
	sym := l.scopes[0][t.Name]
	if sym != nil && sym.kind == symType {
		i := slices.IndexFunc(sym.typ.decl.Fields, func(f syntax.Param) bool { return f.Name == m.Name })
		if i >= 0 {
			return i, sym.typ.fields[i]
		}
	}
	l.errorAt(m.Pos, "P202", fmt.Sprintf("%s has no field %q", t.Name, m.Name), "")
	return -1, nil
}
