package ir

import (
	"fmt"
	"math"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// positional arguments of inputs by function; "options" stands for minval or options by what is given.
var inputOrder = map[string][]string{
	"input":           {"defval", "title", "tooltip", "inline", "group"},
	"input@4":         {"defval", "title", "type", "minval", "maxval", "confirm", "step", "options"},
	"input.int":       {"defval", "title", "minval", "maxval", "step", "tooltip"},
	"input.float":     {"defval", "title", "minval", "maxval", "step", "tooltip"},
	"input.bool":      {"defval", "title", "tooltip"},
	"input.string":    {"defval", "title", "options", "tooltip"},
	"input.timeframe": {"defval", "title", "options", "tooltip"},
	"input.session":   {"defval", "title", "options", "tooltip"},
	"input.enum":      {"defval", "title", "options", "tooltip"},
}

// input lowers a declared input; one written call is one input, however often its function is called.
func (l *lowerer) input(x *syntax.Call, name string) value {
	if v, ok := l.inputs[x]; ok {
		return v
	}
	order := inputOrder[name]
	if order == nil {
		order = []string{"defval", "title", "tooltip"}
	}
	if l.version < 5 {
		order = inputOrder["input@4"]
	}
	args := map[string]syntax.Arg{}
	for i, a := range x.Args {
		key := a.Name
		if key == "" && i < len(order) {
			key = order[i]
			if _, isTuple := a.Value.(*syntax.Tuple); isTuple {
				key = "options"
			}
		}
		args[key] = a
	}
	def, ok := args["defval"]
	if !ok {
		l.errorAt(x.Pos, "P204", "the input has no default value", "give it as defval")
		return l.na()
	}
	if l.plotting {
		return l.scalar(def.Value, "an input")
	}
	in := Input{Variable: l.declName, Min: math.NaN(), Max: math.NaN(), Pos: x.Pos}
	v := l.scalar(def.Value, "an input")
	l.inputName(&in, args)
	in.Group, in.Tooltip = l.inputText(args, "group"), l.inputText(args, "tooltip")
	kind := l.inputKind(x, name, args, v)
	out := l.makeInput(&in, kind, args, def, v)
	l.inputs[x] = out
	return out
}

// inputName takes the title, or the variable's name, and makes it unique.
func (l *lowerer) inputName(in *Input, args map[string]syntax.Arg) {
	if a, ok := args["title"]; ok {
		if text, ok := l.constText(l.scalar(a.Value, "a title").slot()); ok {
			in.Name = strings.TrimSpace(text)
		}
	}
	if in.Name == "" {
		in.Name = in.Variable
	}
	if in.Name == "" {
		in.Name = fmt.Sprintf("input_%d", len(l.p.Inputs)+1)
	}
	base := in.Name
	for n := 2; l.named[in.Name]; n++ {
		in.Name = fmt.Sprintf("%s_%d", base, n)
	}
	l.named[in.Name] = true
}

// inputText is a text that the chart shows of an input; "" when it has none that is fixed.
func (l *lowerer) inputText(args map[string]syntax.Arg, name string) string {
	a, ok := args[name]
	if !ok {
		return ""
	}
	v := l.scalar(a.Value, "a "+name)
	text, _ := l.constText(v.slot())
	return strings.TrimSpace(text)
}

// inputKind decides the kind by the function, the type argument or the default.
func (l *lowerer) inputKind(x *syntax.Call, name string, args map[string]syntax.Arg, def value) string {
	kind := strings.TrimPrefix(strings.TrimPrefix(name, "input"), ".")
	if a, ok := args["type"]; ok {
		if text, ok := l.constText(l.scalar(a.Value, "a type").slot()); ok {
			kind = text
		}
		switch kind {
		case "integer":
			kind = "int"
		case "resolution":
			kind = "timeframe"
		}
	}
	if kind != "" {
		return kind
	}
	if l.info(def.slot()).Kind == SlotBar {
		return "source"
	}
	switch def.typ.Kind {
	case types.Bool:
		return "bool"
	case types.Int:
		return "int"
	case types.String:
		return "string"
	case types.Color:
		return "color"
	case types.Enum:
		return "enum"
	}
	return "float"
}

func (l *lowerer) makeInput(in *Input, kind string, args map[string]syntax.Arg, def syntax.Arg, v value) value {
	switch kind {
	case "source":
		return l.sourceInput(in, def, v)
	case "color":
		return one(types.ColorType, l.constant(types.ColorType, 0))
	}
	info := l.info(v.slot())
	if info.Kind != SlotConst || info.Value != info.Value && kind != "float" && kind != "int" {
		if kind == "time" && v.typ.Kind == types.Int {
			return v // a timestamp() in the exchange's zone: fixed
		}
		l.errorAt(def.Pos, "P208", "an input's default value is fixed", "write the value itself")
		return v
	}
	in.Default = info.Value
	t := v.typ
	switch kind {
	case "int", "float", "price":
		in.Kind, t = InputFloat, types.FloatType
		if kind == "int" {
			in.Kind, t = InputInt, types.IntType
		}
		l.bounds(in, args)
	case "bool":
		in.Kind, in.Max, in.Min, t = InputBool, 1, 0, types.BoolType
	case "time":
		in.Kind, t = InputTime, types.IntType
	case "timeframe", "session", "string", "text_area", "symbol", "enum":
		in.Kind = map[string]InputKind{"timeframe": InputTimeframe, "session": InputSession}[kind]
		if in.Kind == "" {
			in.Kind = InputString
		}
		l.choices(in, kind, args, v)
	default:
		l.errorAt(def.Pos, "P201", fmt.Sprintf("the kind of input %q is not known", kind), "")
		return v
	}
	slot := l.newSlot(SlotInfo{Kind: SlotInput, Index: len(l.p.Inputs), Type: t, Name: in.Name})
	if text, ok := l.constText(v.slot()); ok && kind == "symbol" && text == "" {
		l.own[slot] = ownStandard
	}
	l.p.Inputs = append(l.p.Inputs, *in)
	return one(t, slot)
}

// bounds reads minval, maxval, step and options of a number.
func (l *lowerer) bounds(in *Input, args map[string]syntax.Arg) {
	number := func(key string, to *float64) {
		if a, ok := args[key]; ok {
			if v, ok := l.constNumber(l.scalar(a.Value, key).slot()); ok {
				*to = v
			}
		}
	}
	number("minval", &in.Min)
	number("maxval", &in.Max)
	number("step", &in.Step)
	if a, ok := args["options"]; ok {
		if tuple, ok := a.Value.(*syntax.Tuple); ok {
			for _, item := range tuple.Items {
				if v, ok := l.constNumber(l.scalar(item, "an option").slot()); ok {
					in.Options = append(in.Options, v)
				}
			}
		}
	}
	if in.Min > in.Max {
		l.errorAt(in.Pos, "P208", fmt.Sprintf("the input %q has minval %v above maxval %v", in.Name, in.Min, in.Max), "swap them")
	}
}

// choices reads the options of texts and enums; the parameter is the option's number.
func (l *lowerer) choices(in *Input, kind string, args map[string]syntax.Arg, v value) {
	label := func(s Slot) string {
		if text, ok := l.constText(s); ok {
			return text
		}
		info := l.info(s)
		if titles := l.p.EnumTitles[info.Type.Name]; info.Kind == SlotConst && int(info.Value) < len(titles) && info.Value >= 0 {
			return titles[int(info.Value)]
		}
		return ""
	}
	var options []Slot
	if a, ok := args["options"]; ok {
		if tuple, ok := a.Value.(*syntax.Tuple); ok {
			for _, item := range tuple.Items {
				options = append(options, l.scalar(item, "an option").slot())
			}
		}
	} else if kind == "enum" {
		for i := range l.p.EnumTitles[v.typ.Name] {
			options = append(options, l.constant(v.typ, float64(i)))
		}
	}
	if len(options) == 0 {
		options = []Slot{v.slot()}
	} else if in.Kind == InputString {
		in.Kind = InputEnum
	}
	in.Default, in.Min, in.Max = 0, 0, float64(len(options)-1)
	for i, o := range options {
		in.Values = append(in.Values, l.info(o).Value)
		in.Labels = append(in.Labels, label(o))
		in.Options = append(in.Options, float64(i))
		if o == v.slot() {
			in.Default = float64(i)
		}
	}
}

func (l *lowerer) sourceInput(in *Input, def syntax.Arg, v value) value {
	info := l.info(v.slot())
	at := -1
	for i, s := range Sources {
		in.Labels = append(in.Labels, SeriesNames[s])
		in.Options = append(in.Options, float64(i))
		if info.Kind == SlotBar && info.Index == s {
			at = i
		}
	}
	if at < 0 {
		// A computed default stays what it is.
		return v
	}
	in.Kind, in.Default, in.Min, in.Max = InputSource, float64(at), 0, float64(len(Sources)-1)
	slot := l.newSlot(SlotInfo{Kind: SlotInput, Index: len(l.p.Inputs), Type: types.IntType, Name: in.Name})
	l.p.Inputs = append(l.p.Inputs, *in)
	// The choice stands before the script's first statement: its history is that of the chart.
	dst := l.temp(types.FloatType)
	outer := l.block
	l.block = &l.prologue
	l.emit(&Inst{Op: OpSource, Dst: []Slot{dst}, Args: []Slot{slot}, Pos: in.Pos})
	l.block = outer
	return one(types.FloatType, dst)
}
