package syntax

import "fmt"

// parser is a recursive descent over the tokens. After an error it skips to the next statement.
type parser struct {
	exports []Pos // of the word export
	tokens  []token
	at      int
	depth   int
	diags   *Diagnostics
	failed  bool // the statement being read is given up
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
	script := &Script{Version: lx.version, VersionAt: lx.versionAt, Named: lx.named}
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
	script.Exports = p.exports
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
	advice := ""
	if p.at > 0 && p.tokens[p.at-1].pos.Line < p.peek().pos.Line && p.peek().kind != tokEOF && p.peek().kind != tokNewline {
		advice = "indent a block by four spaces a level: any other number of spaces continues the line before"
	}
	p.fail(p.peek().pos, "P110", fmt.Sprintf("found %s where %s is expected", p.peek().describe(), want), advice)
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
