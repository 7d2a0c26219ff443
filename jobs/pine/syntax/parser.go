package syntax

import (
	"fmt"
	"slices"
)

// parser is a recursive descent over the tokens. After an error it skips to the next statement.
type parser struct {
	tokens []token
	at     int
	depth  int
	diags  *Diagnostics
	failed bool // the statement being read is given up
}

// Parse reads a source. The script is never nil; with errors among the diagnostics it holds the
// statements that could be read.
func Parse(source string) (*Script, Diagnostics) {
	var diags Diagnostics
	if len(source) > MaxSourceBytes {
		diags.Add(Pos{1, 1}, Error, "P401", fmt.Sprintf("the script has %d bytes, more than %d", len(source), MaxSourceBytes), "drop what only draws")
		return &Script{Version: 1, VersionAt: Pos{1, 1}}, diags
	}
	lx := lex(source, &diags)
	p := &parser{tokens: lx.tokens, diags: &diags}
	script := &Script{Version: lx.version, VersionAt: lx.versionAt}
	for p.peek().kind != tokEOF {
		switch p.peek().kind {
		case tokNewline, tokDedent:
			p.at++
			continue
		case tokIndent:
			p.diags.Add(p.peek().pos, Error, "P103", "the line is indented, but no block begins before it", "indent it as the line before, or by a number of spaces that is not a multiple of four to continue that line")
			p.at++
			continue
		}
		script.Body = p.statement(script.Body)
	}
	return script, diags
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) ahead(n int) token {
	if p.at+n < len(p.tokens) {
		return p.tokens[p.at+n]
	}
	return p.tokens[len(p.tokens)-1]
}

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

// accept takes the operator when it is next.
func (p *parser) accept(op string) bool {
	if p.peek().is(op) {
		p.at++
		return true
	}
	return false
}

func (p *parser) acceptWord(w string) bool {
	if p.peek().word(w) {
		p.at++
		return true
	}
	return false
}

func (p *parser) fail(at Pos, code, message, advice string) {
	if !p.failed {
		p.diags.Add(at, Error, code, message, advice)
		p.failed = true
	}
}

func (p *parser) unexpected(want string) {
	p.fail(p.peek().pos, "P110", fmt.Sprintf("found %s where %s is expected", p.peek().describe(), want), "")
}

func (p *parser) expect(op string) {
	if !p.accept(op) {
		p.unexpected("“" + op + "”")
	}
}

func (p *parser) ident(what string) (string, Pos) {
	t := p.peek()
	if t.kind != tokIdent || keywords[t.text] {
		p.unexpected(what)
		return "", t.pos
	}
	p.at++
	return t.text, t.pos
}

var keywords = map[string]bool{
	"if": true, "else": true, "for": true, "while": true, "switch": true, "var": true, "varip": true,
	"and": true, "or": true, "not": true, "true": true, "false": true, "import": true, "export": true,
	"break": true, "continue": true,
}

// deeper counts nesting; leave undoes it.
func (p *parser) deeper() bool {
	p.depth++
	if p.depth > MaxNesting {
		p.fail(p.peek().pos, "P402", fmt.Sprintf("expressions or blocks nest deeper than %d", MaxNesting), "give the inner ones names")
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

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
		p.fail(p.peek().pos, "P111", "“=” declares a new name", "write “:=” to change a variable, “==” to compare")
		return nil
	}
	return &ExprStmt{Node: Node{x.At()}, X: x}
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

// isFunction reports whether a function's name, parameters and => begin at token i.
func (p *parser) isFunction(i int) bool {
	if p.tokens[i].kind != tokIdent || i+1 >= len(p.tokens) || !p.tokens[i+1].is("(") {
		return false
	}
	open := 0
	for i++; i < len(p.tokens); i++ {
		switch t := p.tokens[i]; {
		case t.kind == tokNewline || t.kind == tokEOF:
			return false
		case t.is("("):
			open++
		case t.is(")"):
			if open--; open == 0 {
				return i+1 < len(p.tokens) && p.tokens[i+1].is("=>")
			}
		}
	}
	return false
}

func (p *parser) function(method bool) Stmt {
	name, at := p.ident("the function's name")
	f := &FuncDecl{Node: Node{at}, Name: name, Method: method}
	p.expect("(")
	for !p.failed && !p.peek().is(")") {
		f.Params = append(f.Params, p.param())
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	p.expect("=>")
	f.Body = p.block("the function's body")
	return f
}

// param reads [qualifier] [type] name [= default].
func (p *parser) param() Param {
	pos := p.peek().pos
	out := Param{Node: Node{pos}}
	if q := p.peek().text; isQualifier(q) && p.ahead(1).kind == tokIdent {
		out.Qualifier = q
		p.at++
	}
	if !p.plainName() {
		out.Type = p.typeRef()
	}
	out.Name, _ = p.ident("a parameter's name")
	if p.accept("=") {
		out.Default = p.expression()
	}
	return out
}

// plainName reports whether the next token is a name and not a type before one.
func (p *parser) plainName() bool {
	if p.peek().kind != tokIdent {
		return true
	}
	n := p.typeLength(p.at)
	return n == 0 || p.ahead(n).kind != tokIdent
}

func isQualifier(w string) bool {
	return w == "const" || w == "simple" || w == "series" || w == "input"
}

// typeLength is how many tokens from i on can be a type, 0 for none.
func (p *parser) typeLength(i int) int {
	at := func(i int) token {
		if i < len(p.tokens) {
			return p.tokens[i]
		}
		return p.tokens[len(p.tokens)-1]
	}
	from := i
	if at(i).kind != tokIdent || keywords[at(i).text] {
		return 0
	}
	name := at(i).text
	i++
	for at(i).is(".") && at(i+1).kind == tokIdent {
		i += 2
	}
	if at(i).is("<") && (name == "array" || name == "matrix" || name == "map") {
		i++
		for {
			n := p.typeLength(i)
			if n == 0 {
				return 0
			}
			i += n
			if at(i).is(",") {
				i++
				continue
			}
			break
		}
		if !at(i).is(">") {
			return 0
		}
		i++
	}
	if at(i).is("[") && at(i+1).is("]") {
		i += 2
	}
	return i - from
}

func (p *parser) typeRef() *TypeRef {
	t := &TypeRef{Node: Node{p.peek().pos}}
	if !p.deeper() {
		p.leave()
		return t
	}
	defer p.leave()
	t.Name, _ = p.ident("a type")
	for !p.failed && p.peek().is(".") {
		p.at++
		part, _ := p.ident("a type")
		t.Name += "." + part
	}
	if (t.Name == "array" || t.Name == "matrix" || t.Name == "map") && p.accept("<") {
		for !p.failed {
			t.Args = append(t.Args, p.typeRef())
			if !p.accept(",") {
				break
			}
		}
		p.expect(">")
	}
	if p.peek().is("[") && p.ahead(1).is("]") {
		p.at += 2
		t.Array = true
	}
	return t
}

// declaration reads [qualifier] [type] name = value, or returns nil and has read nothing.
func (p *parser) declaration(mode string, at Pos) Stmt {
	from := p.at
	if isQualifier(p.peek().text) && p.ahead(1).kind == tokIdent {
		p.at++
	}
	var ref *TypeRef
	if !p.plainName() {
		n := p.typeLength(p.at)
		if !p.ahead(n + 1).is("=") {
			p.at = from
			return nil
		}
		ref = p.typeRef()
	}
	if p.peek().kind != tokIdent || keywords[p.peek().text] || !p.ahead(1).is("=") {
		p.at = from
		return nil
	}
	name, _ := p.ident("a name")
	p.expect("=")
	return &Decl{Node: Node{at}, Mode: mode, Type: ref, Name: name, Value: p.expression()}
}

// tupleDeclaration reads [a, b] = value, or returns nil and has read nothing.
func (p *parser) tupleDeclaration() Stmt {
	i := p.at + 1
	for p.tokens[i].kind == tokIdent || p.tokens[i].is(",") {
		i++
	}
	if !p.tokens[i].is("]") || i+1 >= len(p.tokens) || !p.tokens[i+1].is("=") {
		return nil
	}
	d := &TupleDecl{Node: Node{p.next().pos}}
	for !p.failed {
		name, _ := p.ident("a name")
		d.Names = append(d.Names, name)
		if !p.accept(",") {
			break
		}
	}
	p.expect("]")
	p.expect("=")
	if !p.failed {
		d.Value = p.expression()
	}
	return d
}

func (p *parser) typeDeclaration() Stmt {
	p.at++
	name, at := p.ident("the type's name")
	d := &TypeDecl{Node: Node{at}, Name: name}
	p.fields(func() {
		p.acceptWord("varip")
		field := Param{Node: Node{p.peek().pos}}
		if isQualifier(p.peek().text) && p.ahead(1).kind == tokIdent {
			p.at++
		}
		field.Type = p.typeRef()
		field.Name, _ = p.ident("a field's name")
		if p.accept("=") {
			field.Default = p.expression()
		}
		d.Fields = append(d.Fields, field)
	})
	return d
}

func (p *parser) enumDeclaration() Stmt {
	p.at++
	name, at := p.ident("the enum's name")
	d := &EnumDecl{Node: Node{at}, Name: name}
	p.fields(func() {
		field := Param{Node: Node{p.peek().pos}}
		field.Name, _ = p.ident("a field's name")
		if p.accept("=") {
			field.Default = p.expression()
		}
		d.Fields = append(d.Fields, field)
	})
	return d
}

// fields reads an indented block, a field a line.
func (p *parser) fields(one func()) {
	if p.next().kind != tokNewline || p.peek().kind != tokIndent {
		p.unexpected("an indented list of fields")
		return
	}
	p.at++
	for !p.failed && p.peek().kind != tokDedent && p.peek().kind != tokEOF {
		one()
		if !p.failed && !p.endOfStatement() {
			p.unexpected("the end of the field")
		}
	}
	if !p.failed && p.peek().kind == tokDedent {
		p.at++
	}
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
