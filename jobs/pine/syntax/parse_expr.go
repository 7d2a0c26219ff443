package syntax

import (
	"fmt"
	"strconv"
)

// maxChain bounds how many operators of one rank follow one another, and so the tree's depth.
const maxChain = 500

func (p *parser) expression() Expr {
	if p.failed || !p.deeper() {
		p.leave()
		return &Ident{Node{p.peek().pos}, "na"}
	}
	defer p.leave()
	if t := p.peek(); t.kind == tokIdent {
		switch t.text {
		case "if":
			return p.ifExpr()
		case "for":
			if p.ahead(1).kind == tokIdent || p.ahead(1).is("[") {
				return p.forExpr()
			}
		case "while":
			p.at++
			w := &While{Node: Node{t.pos}, Cond: p.expression()}
			w.Body = p.block("the loop's body")
			return w
		case "switch":
			return p.switchExpr()
		}
	}
	return p.ternary()
}

// ternary reads a chain of conditions without recursion on its else side.
func (p *parser) ternary() Expr {
	type part struct {
		cond, then Expr
	}
	var parts []part
	x := p.binary(0)
	for !p.failed && p.accept("?") {
		then := p.expression()
		p.expect(":")
		parts = append(parts, part{x, then})
		if len(parts) > maxChain {
			p.fail(p.peek().pos, "P402", fmt.Sprintf("more than %d conditions follow one another", maxChain), "use a switch")
		}
		if t := p.peek(); t.word("if") || t.word("switch") || t.word("for") || t.word("while") {
			x = p.expression()
			break
		}
		x = p.binary(0)
	}
	for i := len(parts) - 1; i >= 0; i-- {
		x = &Ternary{Node{parts[i].cond.At()}, parts[i].cond, parts[i].then, x}
	}
	return x
}

// ranks of binary operators, weakest first.
var ranks = [][]string{{"or"}, {"and"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"+", "-"}, {"*", "/", "%"}}

func (p *parser) operator(rank int) string {
	t := p.peek()
	if t.kind != tokOp && t.kind != tokIdent {
		return ""
	}
	for _, op := range ranks[rank] {
		if t.text == op {
			return op
		}
	}
	return ""
}

func (p *parser) binary(rank int) Expr {
	if rank == len(ranks) {
		return p.unary()
	}
	x := p.binary(rank + 1)
	for n := 0; !p.failed; n++ {
		op := p.operator(rank)
		if op == "" {
			break
		}
		if n == maxChain {
			p.fail(p.peek().pos, "P402", fmt.Sprintf("more than %d operators follow one another", maxChain), "give a part of the expression a name")
			break
		}
		at := p.next().pos
		x = &Binary{Node{at}, op, x, p.binary(rank + 1)}
	}
	return x
}

func (p *parser) unary() Expr {
	t := p.peek()
	if t.word("not") || t.is("-") || t.is("+") {
		if !p.deeper() {
			p.leave()
			return &Ident{Node{t.pos}, "na"}
		}
		defer p.leave()
		p.at++
		return &Unary{Node{t.pos}, t.text, p.unary()}
	}
	return p.postfix(p.primary())
}

func (p *parser) postfix(x Expr) Expr {
	for n := 0; !p.failed; n++ {
		if n == maxChain {
			p.fail(p.peek().pos, "P402", fmt.Sprintf("more than %d calls follow one another", maxChain), "give a part of the expression a name")
			break
		}
		t := p.peek()
		switch {
		case t.is("."):
			p.at++
			name := p.peek()
			if name.kind != tokIdent {
				p.unexpected("a name")
				return x
			}
			p.at++
			x = &Member{Node{x.At()}, x, name.text}
		case t.is("["):
			p.at++
			i := p.expression()
			p.expect("]")
			x = &Index{Node{x.At()}, x, i}
		case t.is("("):
			x = p.call(x, nil)
		case t.is("<") && isGeneric(x):
			refs := p.typeArgs()
			if refs == nil {
				return x
			}
			x = p.call(x, refs)
		default:
			return x
		}
	}
	return x
}

// isGeneric reports whether type arguments may follow x.
func isGeneric(x Expr) bool {
	m, ok := x.(*Member)
	if !ok || m.Name != "new" {
		return false
	}
	base, ok := m.X.(*Ident)
	return ok && (base.Name == "array" || base.Name == "matrix" || base.Name == "map")
}

// typeArgs reads <T, …>, or reads nothing and returns nil.
func (p *parser) typeArgs() []*TypeRef {
	p.at++
	var refs []*TypeRef
	for !p.failed {
		refs = append(refs, p.typeRef())
		if !p.accept(",") {
			break
		}
	}
	p.expect(">")
	if p.failed {
		return nil
	}
	if !p.peek().is("(") {
		p.unexpected("“(”")
		return nil
	}
	return refs
}

func (p *parser) call(fun Expr, refs []*TypeRef) Expr {
	c := &Call{Node: Node{fun.At()}, Fun: fun, TypeArgs: refs}
	p.expect("(")
	for !p.failed && !p.peek().is(")") {
		a := Arg{Node: Node{p.peek().pos}}
		if p.peek().kind == tokIdent && p.ahead(1).is("=") {
			a.Name = p.next().text
			p.at++
		}
		a.Value = p.expression()
		c.Args = append(c.Args, a)
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return c
}

func (p *parser) primary() Expr {
	t := p.peek()
	node := Node{t.pos}
	switch t.kind {
	case tokInt, tokFloat:
		p.at++
		v, _ := strconv.ParseFloat(t.text, 64) // out of range gives infinity
		return &Number{node, v, t.kind == tokInt}
	case tokString:
		p.at++
		return &Text{node, t.text}
	case tokColor:
		p.at++
		return &Color{node, t.text}
	case tokIdent:
		switch t.text {
		case "true", "false":
			p.at++
			return &Bool{node, t.text == "true"}
		}
		if keywords[t.text] {
			p.unexpected("an expression")
			return &Ident{node, "na"}
		}
		p.at++
		return &Ident{node, t.text}
	}
	switch {
	case t.is("("):
		p.at++
		x := p.expression()
		p.expect(")")
		return x
	case t.is("["):
		p.at++
		tuple := &Tuple{Node: node}
		for !p.failed && !p.peek().is("]") {
			tuple.Items = append(tuple.Items, p.expression())
			if !p.accept(",") {
				break
			}
		}
		p.expect("]")
		return tuple
	}
	p.unexpected("an expression")
	return &Ident{node, "na"}
}

func (p *parser) ifExpr() Expr {
	at := p.next().pos
	x := &If{Node: Node{at}, Cond: p.expression()}
	if !p.failed && p.peek().kind != tokNewline {
		p.unexpected("the end of the line")
		return x
	}
	x.Then = p.block("the branch's body")
	if p.failed || !p.acceptWord("else") {
		return x
	}
	if t := p.peek(); t.word("if") {
		inner := p.expression()
		x.Else = []Stmt{&ExprStmt{Node{t.pos}, inner}}
		return x
	}
	if p.peek().kind != tokNewline {
		p.unexpected("the end of the line")
		return x
	}
	x.Else = p.block("the branch's body")
	if x.Else == nil {
		x.Else = []Stmt{}
	}
	return x
}

func (p *parser) forExpr() Expr {
	at := p.next().pos
	if p.accept("[") {
		x := &ForIn{Node: Node{at}}
		x.Key, _ = p.ident("a name")
		p.expect(",")
		x.Name, _ = p.ident("a name")
		p.expect("]")
		return p.forIn(x)
	}
	name, _ := p.ident("the counter's name")
	if p.peek().word("in") {
		return p.forIn(&ForIn{Node: Node{at}, Name: name})
	}
	x := &For{Node: Node{at}, Name: name}
	p.expect("=")
	x.From = p.expression()
	if !p.failed && !p.acceptWord("to") {
		p.unexpected("“to”")
	}
	x.To = p.expression()
	if !p.failed && p.acceptWord("by") {
		x.By = p.expression()
	}
	x.Body = p.block("the loop's body")
	return x
}

func (p *parser) forIn(x *ForIn) Expr {
	if !p.acceptWord("in") {
		p.unexpected("“in”")
	}
	x.X = p.expression()
	x.Body = p.block("the loop's body")
	return x
}

func (p *parser) switchExpr() Expr {
	at := p.next().pos
	x := &Switch{Node: Node{at}}
	if p.peek().kind != tokNewline {
		x.X = p.expression()
	}
	if p.failed {
		return x
	}
	if p.peek().kind != tokNewline || p.ahead(1).kind != tokIndent {
		p.unexpected("the cases, indented")
		return x
	}
	p.at += 2
	for !p.failed && p.peek().kind != tokDedent && p.peek().kind != tokEOF {
		c := Case{Node: Node{p.peek().pos}}
		if !p.peek().is("=>") {
			c.Cond = p.expression()
		}
		p.expect("=>")
		if p.failed {
			return x
		}
		c.Body = p.block("the case's body")
		x.Cases = append(x.Cases, c)
		if !p.failed && !p.endOfStatement() {
			p.unexpected("the end of the case")
		}
	}
	if !p.failed && p.peek().kind == tokDedent {
		p.at++
	}
	return x
}
