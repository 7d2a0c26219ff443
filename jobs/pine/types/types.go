package types

import "strings"

// Kind is the kind of a type.
type Kind uint8

// The kinds. NA is the type of an untyped na, Handle that of drawings, Tuple that of several results.
const (
	Void Kind = iota
	NA
	Bool
	Int
	Float
	String
	Color
	Enum
	Handle
	Array
	Matrix
	Map
	Object
	Tuple
)

// Type is a type. Scalars are the singletons below; others are compared with Same.
type Type struct {
	Kind  Kind
	Name  string  // of a handle, an enum or a user-defined type
	Elem  *Type   // of arrays, matrices and maps
	Key   *Type   // of maps
	Items []*Type // of tuples
}

// The types without parts.
var (
	VoidType   = &Type{Kind: Void}
	NAType     = &Type{Kind: NA}
	BoolType   = &Type{Kind: Bool}
	IntType    = &Type{Kind: Int}
	FloatType  = &Type{Kind: Float}
	StringType = &Type{Kind: String}
	ColorType  = &Type{Kind: Color}
)

// ArrayOf is the type of arrays of elem.
func ArrayOf(elem *Type) *Type { return &Type{Kind: Array, Elem: elem} }

// MatrixOf is the type of matrices of elem.
func MatrixOf(elem *Type) *Type { return &Type{Kind: Matrix, Elem: elem} }

// HandleOf is the type of a drawing.
func HandleOf(name string) *Type { return &Type{Kind: Handle, Name: name} }

// IsNumber reports whether t is int or float.
func (t *Type) IsNumber() bool { return t.Kind == Int || t.Kind == Float }

// IsReference reports whether values of t name an object that others may hold too.
func (t *Type) IsReference() bool {
	return t.Kind == Array || t.Kind == Matrix || t.Kind == Map || t.Kind == Object
}

// Same reports whether a and b are one type.
func Same(a, b *Type) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Kind != b.Kind || a.Name != b.Name || len(a.Items) != len(b.Items) {
		return false
	}
	for i := range a.Items {
		if !Same(a.Items[i], b.Items[i]) {
			return false
		}
	}
	return Same(a.Elem, b.Elem) && Same(a.Key, b.Key)
}

// String names the type as a script writes it.
func (t *Type) String() string {
	switch t.Kind {
	case Void:
		return "void"
	case NA:
		return "na"
	case Bool:
		return "bool"
	case Int:
		return "int"
	case Float:
		return "float"
	case String:
		return "string"
	case Color:
		return "color"
	case Array:
		return "array<" + t.Elem.String() + ">"
	case Matrix:
		return "matrix<" + t.Elem.String() + ">"
	case Map:
		return "map<" + t.Key.String() + ", " + t.Elem.String() + ">"
	case Tuple:
		names := make([]string, len(t.Items))
		for i, item := range t.Items {
			names[i] = item.String()
		}
		return "[" + strings.Join(names, ", ") + "]"
	default:
		return t.Name
	}
}

// Join is the type that holds values of both a and b, or nil when none does. Before version 6
// numbers and bools convert.
func Join(a, b *Type, version int) *Type {
	switch {
	case Same(a, b), b.Kind == NA:
		return a
	case a.Kind == NA:
		return b
	case a.IsNumber() && b.IsNumber():
		return FloatType
	case a.Kind == Void, b.Kind == Void:
		return VoidType
	case version < 6 && a.Kind == Bool && b.IsNumber():
		return b
	case version < 6 && b.Kind == Bool && a.IsNumber():
		return a
	case a.Kind == Handle && b.Kind == Handle:
		return a
	case a.Kind == Color && b.IsNumber() && version < 5, b.Kind == Color && a.IsNumber() && version < 5:
		return ColorType
	}
	return nil
}

// Accepts reports whether a value of type from can be given where to is wanted.
func Accepts(to, from *Type, version int) bool {
	switch {
	case Same(to, from), from.Kind == NA:
		return true
	case to.IsNumber() && from.IsNumber():
		return true
	case to.Kind == Bool && from.IsNumber(), to.IsNumber() && from.Kind == Bool:
		return version < 6
	case to.Kind == Color && from.IsNumber(), to.IsNumber() && from.Kind == Color:
		return version < 5
	case to.Kind == Handle && from.Kind == Handle:
		return true
	case to.Kind == Array && from.Kind == Array:
		return to.Elem.IsNumber() && from.Elem.IsNumber() || from.Elem.Kind == NA || to.Elem.Kind == NA ||
			to.Elem.Kind == Handle && from.Elem.Kind == Handle
	}
	return false
}
