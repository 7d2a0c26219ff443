package syntax

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
