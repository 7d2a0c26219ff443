package pine

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/syntax"
)

// Semantics is the version of how scripts are run: runs of different semantics are not compared.
const Semantics = "1"

// Diagnostic is one finding about a script.
type Diagnostic = syntax.Diagnostic

// Diagnostics are findings about a script.
type Diagnostics = syntax.Diagnostics

// Program is a compiled script. It is immutable and safe for concurrent use.
type Program struct {
	ir    *ir.Program
	main  *code
	subs  []*code
	plan  *planCode
	notes Diagnostics
	// drawn is the program with its plots, made when a chart first asks for it.
	drawn func() (*Program, error)
}

// maxColumns bounds the series that a script computes beside its bars.
const maxColumns = 1000

// Compile makes a program of a script. The program is nil when the diagnostics hold an error; notes
// and warnings are kept with the program.
func Compile(source string) (program *Program, diags Diagnostics) {
	defer func() {
		// A fault of ours on a script is a refusal of that script, not the end of the process.
		if r := recover(); r != nil {
			diags.Add(syntax.Pos{Line: 1, Column: 1}, syntax.Error, "P499", fmt.Sprintf("the script cannot be compiled: %v", r), "report it to the operator")
			program = nil
		}
	}()
	program, diags = compile(source, ir.Lower)
	if program != nil {
		program.drawn = sync.OnceValues(func() (*Program, error) { return program.withPlots(source) })
	}
	return program, diags
}

// compile makes a program by a way of lowering.
func compile(source string, lower func(*syntax.Script, *Diagnostics) *ir.Program) (*Program, Diagnostics) {
	script, diags := syntax.Parse(source)
	if diags.HasErrors() {
		return nil, diags
	}
	lowered := lower(script, &diags)
	if diags.HasErrors() {
		return nil, diags
	}
	p := &Program{ir: lowered}
	var plots []ir.Slot
	for _, plot := range lowered.Plots {
		plots = append(plots, plot.Slot)
	}
	var err error
	if p.main, err = generate(lowered, &lowered.Body, nil, plots...); err == nil {
		for _, slot := range plots {
			p.main.results = append(p.main.results, regOf(p.main, lowered, slot))
		}
		for _, s := range lowered.Subs {
			var c *code
			if c, err = generate(lowered, &s.Body, nil, s.Results...); err != nil {
				break
			}
			for _, slot := range s.Results {
				c.results = append(c.results, regOf(c, lowered, slot))
			}
			p.subs = append(p.subs, c)
		}
	}
	if err == nil {
		p.plan, err = planFor(lowered)
	}
	if err == nil && len(p.plan.plan.Order) > maxColumns {
		err = fmt.Errorf("the script needs %d columns, more than %d", len(p.plan.plan.Order), maxColumns)
	}
	if err != nil {
		diags.Add(syntax.Pos{Line: 1, Column: 1}, syntax.Error, "P405", err.Error(), "make the script smaller")
		return nil, diags
	}
	p.notes = diags
	return p, diags
}

// regOf is a slot's register in code that is already made; constants and series that nothing reads
// get one.
func regOf(c *code, p *ir.Program, s ir.Slot) uint16 {
	for r, slot := range c.slots {
		if slot == s {
			return uint16(r)
		}
	}
	g := &generator{p: p, c: c, reg: map[ir.Slot]uint16{}}
	for r, slot := range c.slots {
		g.reg[slot] = uint16(r)
	}
	r := g.at(s)
	c.regs = len(c.slots)
	return r
}

// Class says how a run works: S jumps from event to event with market orders, B with levels too, P
// runs what is left of the script on every bar.
func (p *Program) Class() string { return p.plan.class() }

// Title is what the script calls itself.
func (p *Program) Title() string { return p.ir.Settings.Title }

// Notes are the remarks of the compilation: what is ignored, and warnings.
func (p *Program) Notes() Diagnostics { return p.notes }

// Settings are those of the script's strategy() call.
func (p *Program) Settings() ir.Settings { return p.ir.Settings }

// Inputs are the declared inputs in order; the parameters of a run have the same order.
func (p *Program) Inputs() []ir.Input { return p.ir.Inputs }

// Defaults are the inputs' default values.
func (p *Program) Defaults() []float64 {
	values := make([]float64, len(p.ir.Inputs))
	for i, in := range p.ir.Inputs {
		values[i] = in.Default
	}
	return values
}

// Override sets the input of that title, or of that variable's name, from text: a number, true or
// false, or one of its labels.
func (p *Program) Override(params []float64, title, text string) error {
	for i, in := range p.ir.Inputs {
		if in.Name != title && in.Variable != title {
			continue
		}
		for j, label := range in.Labels {
			if strings.EqualFold(label, text) {
				params[i] = float64(j)
				return nil
			}
		}
		switch strings.ToLower(text) {
		case "true":
			params[i] = 1
			return nil
		case "false":
			params[i] = 0
			return nil
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("input %q: %q is neither a number nor one of its options", title, text)
		}
		params[i] = v
		return nil
	}
	return fmt.Errorf("the script has no input %q", title)
}
