package syntax

// Script is a parsed source.
type Script struct {
	Version   int // 1 when the source names none
	VersionAt Pos
	Named     string // the version as it is written; "" when the source names none
	Exports   []Pos  // of the word export
	Body      []Stmt
}

// Stmt is a statement. Control structures are expressions and stand in an ExprStmt.
type Stmt interface{ At() Pos }

// Expr is an expression.
type Expr interface{ At() Pos }

// Node holds the position of whatever embeds it.
type Node struct{ Pos Pos }

// At is where the node begins.
func (n Node) At() Pos { return n.Pos }

// TypeRef is a written type.
type TypeRef struct {
	Node
	Name  string // with its prefix, as in chart.point
	Args  []*TypeRef
	Array bool // the form T[]
}

// Statements.
type (
	// Decl declares one name. Mode is "", "var" or "varip"; Type may be nil.
	Decl struct {
		Node
		Mode  string
		Type  *TypeRef
		Name  string
		Value Expr
	}
	// TupleDecl declares names for the results of one call or block.
	TupleDecl struct {
		Node
		Names []string
		Value Expr
	}
	// Assign is := or an arithmetic assignment. Target is an Ident or a Member.
	Assign struct {
		Node
		Target Expr
		Op     string // ":=", "+=", "-=", "*=", "/=", "%="
		Value  Expr
	}
	// ExprStmt is an expression for its effect or as a block's value.
	ExprStmt struct {
		Node
		X Expr
	}
	// Break leaves a loop.
	Break struct{ Node }
	// Continue begins a loop's next pass.
	Continue struct{ Node }
	// FuncDecl declares a function or a method.
	FuncDecl struct {
		Node
		Name   string
		Method bool
		Params []Param
		Body   []Stmt
	}
	// TypeDecl declares a user-defined type.
	TypeDecl struct {
		Node
		Name   string
		Fields []Param
	}
	// EnumDecl declares an enum; a field's Default is its title, when given.
	EnumDecl struct {
		Node
		Name   string
		Fields []Param
	}
	// Import names a library.
	Import struct {
		Node
		Path string
	}
)

// Param is a parameter of a function or a field of a type.
type Param struct {
	Node
	Type      *TypeRef // nil when not written
	Qualifier string   // "", "const", "input", "simple" or "series"
	Name      string
	Default   Expr // nil: none
}

// Expressions.
type (
	// Number is a literal; Int says that it has neither point nor exponent.
	Number struct {
		Node
		Value float64
		Int   bool
	}
	// Text is a string literal.
	Text struct {
		Node
		Value string
	}
	// Bool is true or false.
	Bool struct {
		Node
		Value bool
	}
	// Color is a literal as #RRGGBB or #RRGGBBAA.
	Color struct {
		Node
		Value string
	}
	// Ident is a name.
	Ident struct {
		Node
		Name string
	}
	// Member is X.Name.
	Member struct {
		Node
		X    Expr
		Name string
	}
	// Call calls Fun.
	Call struct {
		Node
		Fun      Expr
		TypeArgs []*TypeRef
		Args     []Arg
	}
	// Index is X[I], the history operator.
	Index struct {
		Node
		X, I Expr
	}
	// Unary is "-", "+" or "not".
	Unary struct {
		Node
		Op string
		X  Expr
	}
	// Binary is an arithmetic, comparing or logical operator.
	Binary struct {
		Node
		Op   string
		X, Y Expr
	}
	// Ternary is Cond ? Then : Else.
	Ternary struct {
		Node
		Cond, Then, Else Expr
	}
	// Tuple is [a, b, …].
	Tuple struct {
		Node
		Items []Expr
	}
	// If has an empty Else when there is none; else if is an If inside Else.
	If struct {
		Node
		Cond Expr
		Then []Stmt
		Else []Stmt
	}
	// For counts Name from From to To; By may be nil.
	For struct {
		Node
		Name         string
		From, To, By Expr
		Body         []Stmt
	}
	// ForIn walks a collection; Key is "" in the short form.
	ForIn struct {
		Node
		Key, Name string
		X         Expr
		Body      []Stmt
	}
	// While loops while Cond holds.
	While struct {
		Node
		Cond Expr
		Body []Stmt
	}
	// Switch compares X with each case, or, when X is nil, takes the first case that is true.
	Switch struct {
		Node
		X     Expr
		Cases []Case
	}
)

// Arg is an argument; Name is "" for a positional one.
type Arg struct {
	Node
	Name  string
	Value Expr
}

// Case is one arm of a switch; Cond is nil for the default.
type Case struct {
	Node
	Cond Expr
	Body []Stmt
}
