package syntax

import (
	"fmt"
	"slices"
)

// statement reads the statements of one line with their blocks and appends them.
func (p *parser) statement(body []Stmt) []Stmt {
	start := p.at
	p.failed = false
	for {
		s := p.oneStatement()
		if p.failed {
			break
		}
		if s != nil {
			body = append(body, s)
		}
		if p.accept(",") {
			continue
		}
		if !p.endOfStatement() {
			p.unexpected("the end of the statement")
			break
		}
		return body
	}
	p.skip(start)
	p.failed = false
	return body
}

// endOfStatement takes the line's end; a block has taken its own.
func (p *parser) endOfStatement() bool {
	switch p.peek().kind {
	case tokNewline:
		p.at++
		return true
	case tokEOF, tokDedent:
		return true
	}
	return p.at > 0 && p.tokens[p.at-1].kind == tokDedent
}

// skip goes to the next statement of the block in which the failed one began.
func (p *parser) skip(start int) {
	open := 0
	for _, t := range p.tokens[start:p.at] {
		switch t.kind {
		case tokIndent:
			open++
		case tokDedent:
			open--
		}
	}
	for {
		switch p.peek().kind {
		case tokEOF:
			return
		case tokIndent:
			open++
		case tokDedent:
			if open <= 0 {
				return
			}
			open--
			if open == 0 {
				p.at++
				return
			}
		case tokNewline:
			if open <= 0 && p.ahead(1).kind != tokIndent {
				p.at++
				return
			}
		}
		p.at++
	}
}

func (p *parser) oneStatement() Stmt {
	t := p.peek()
	if t.kind == tokIdent {
		if s, done := p.keywordStatement(t); done {
			return s
		}
		if p.isFunction(p.at) {
			return p.function(false)
		}
		if s := p.declaration("", t.pos); s != nil || p.failed {
			return s
		}
	}
	if t.is("[") {
		if s := p.tupleDeclaration(); s != nil || p.failed {
			return s
		}
	}
	x := p.expression()
	if p.failed {
		return nil
	}
	if op := p.peek(); op.kind == tokOp && slices.Contains([]string{":=", "+=", "-=", "*=", "/=", "%="}, op.text) {
		p.at++
		switch x.(type) {
		case *Ident, *Member:
		default:
			p.fail(x.At(), "P111", "only a variable or a field can be assigned to", "declare a variable for it")
			return nil
		}
		value := p.expression()
		return &Assign{Node: Node{x.At()}, Target: x, Op: op.text, Value: value}
	}
	if p.peek().is("=") {
		p.misplacedEquals(x)
		return nil
	}
	return &ExprStmt{Node: Node{x.At()}, X: x}
}

// misplacedEquals refuses = after what is not a new name.
func (p *parser) misplacedEquals(x Expr) {
	at := p.peek().pos
	m, ok := x.(*Member)
	if !ok {
		p.fail(at, "P111", "“=” declares a new name", "write “:=” to change a variable, “==” to compare")
		return
	}
	if base, ok := m.X.(*Ident); ok && base.Name == "strategy" {
		p.fail(at, "P111", fmt.Sprintf("strategy.%s can be read, not set", quote(m.Name)), fmt.Sprintf("remove the line, and give the strategy() call the argument %s=…", quote(m.Name)))
		return
	}
	p.fail(at, "P111", "“=” declares a new name, and a field is none", "write “:=” to change a field, “==” to compare")
}

// keywordStatement reads what begins with a keyword; control structures are left to expression.
func (p *parser) keywordStatement(t token) (Stmt, bool) {
	second := p.ahead(1)
	switch t.text {
	case "var", "varip":
		if second.kind == tokIdent {
			p.at++
			s := p.declaration(t.text, t.pos)
			if s == nil {
				p.unexpected("a declaration")
			}
			return s, true
		}
	case "break", "continue":
		if second.kind != tokOp || second.text == "," {
			p.at++
			if t.text == "break" {
				return &Break{Node{t.pos}}, true
			}
			return &Continue{Node{t.pos}}, true
		}
	case "import":
		if second.kind == tokIdent {
			return p.imported(), true
		}
	case "export":
		if second.kind == tokIdent {
			p.exports = append(p.exports, t.pos)
			p.at++
			return p.oneStatement(), true
		}
	case "type":
		if second.kind == tokIdent && p.ahead(2).kind == tokNewline {
			return p.typeDeclaration(), true
		}
	case "enum":
		if second.kind == tokIdent && p.ahead(2).kind == tokNewline {
			return p.enumDeclaration(), true
		}
	case "method":
		if second.kind == tokIdent && p.ahead(2).is("(") {
			p.at++
			return p.function(true), true
		}
	}
	return nil, false
}

func (p *parser) imported() Stmt {
	at := p.next().pos
	path := ""
	for p.peek().kind != tokNewline && p.peek().kind != tokEOF {
		path += p.next().text
	}
	return &Import{Node{at}, path}
}

// block reads an indented block, or statements on the same line.
func (p *parser) block(what string) []Stmt {
	if p.failed || !p.deeper() {
		p.leave()
		return nil
	}
	defer p.leave()
	var body []Stmt
	if p.peek().kind != tokNewline {
		for !p.failed {
			if s := p.oneStatement(); s != nil {
				body = append(body, s)
			}
			if !p.accept(",") {
				break
			}
		}
		return body
	}
	if p.ahead(1).kind != tokIndent {
		p.fail(p.ahead(1).pos, "P103", what+" is missing", "indent it by four spaces")
		return nil
	}
	p.at += 2
	for p.peek().kind != tokDedent && p.peek().kind != tokEOF {
		switch p.peek().kind {
		case tokNewline:
			p.at++
		case tokIndent:
			p.diags.Add(p.peek().pos, Error, "P103", "the line is indented deeper than its block", "indent it as the line before")
			p.skipBlock()
		default:
			body = p.statement(body)
		}
	}
	if p.peek().kind == tokDedent {
		p.at++
	}
	return body
}

// skipBlock goes past a block that begins here.
func (p *parser) skipBlock() {
	open := 0
	for p.peek().kind != tokEOF {
		switch p.next().kind {
		case tokIndent:
			open++
		case tokDedent:
			if open--; open == 0 {
				return
			}
		}
	}
}
