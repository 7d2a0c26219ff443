package syntax

// kind is the kind of a token.
type kind uint8

const (
	tokEOF kind = iota
	tokNewline
	tokIndent
	tokDedent
	tokIdent
	tokInt
	tokFloat
	tokString
	tokColor
	tokOp // operators and punctuation; text says which
)

// token is one word of the source. text is its spelling, or a string's value.
type token struct {
	kind kind
	text string
	pos  Pos
	gap  bool // white space stands before it
}

func (t token) is(op string) bool  { return t.kind == tokOp && t.text == op }
func (t token) word(w string) bool { return t.kind == tokIdent && t.text == w }
func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "the end of the script"
	case tokNewline:
		return "the end of the line"
	case tokIndent:
		return "an indented block"
	case tokDedent:
		return "the end of the block"
	case tokString:
		return "the text \"" + quote(t.text) + "\""
	default:
		return "“" + quote(t.text) + "”"
	}
}

// operators, longest first.
var operators = []string{
	":=", "+=", "-=", "*=", "/=", "%=", "==", "!=", "<=", ">=", "=>",
	"(", ")", "[", "]", ",", ".", "?", ":", "+", "-", "*", "/", "%", "<", ">", "=",
}

// continues reports whether a line that ends in this token needs another one.
func (t token) continues() bool {
	switch t.kind {
	case tokOp:
		switch t.text {
		case ")", "]", "=>":
			return false
		}
		return true
	case tokIdent:
		return t.text == "and" || t.text == "or" || t.text == "not"
	}
	return false
}

// cannotBegin reports whether no statement begins with this token.
func (t token) cannotBegin() bool {
	switch t.kind {
	case tokOp:
		switch t.text {
		case "(", "[", "+", "-", "=>":
			return false
		}
		return true
	case tokIdent:
		return t.text == "and" || t.text == "or"
	}
	return false
}
