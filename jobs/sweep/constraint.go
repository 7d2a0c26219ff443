package sweep

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

// Limits on constraints, so that checking one costs no more than running a few bars.
const (
	maxConstraints     = 20
	maxConstraintChars = 200
	maxConstraintNodes = 60
)

// A constraint is written in expr-lang's syntax, of which numbers, parameters, arithmetic,
// comparison and logic are allowed. Its tree is turned into closures over the parameters rather
// than run by expr's machine: that boxes every operand, and has builtins to keep out.
type (
	numberFunc func(backtest.Params) float64
	truthFunc  func(backtest.Params) bool
)

// compileConstraint reads an expression over the named parameters. Numbers are float64 throughout;
// a comparison with an undefined number (0/0) is false.
func compileConstraint(source string, names []string) (truthFunc, error) {
	if len(source) > maxConstraintChars {
		return nil, fmt.Errorf("is %d characters long, more than %d", len(source), maxConstraintChars)
	}
	tree, err := parser.Parse(source)
	if err != nil {
		var syntax *file.Error
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("cannot be read at column %d: %s", syntax.Column+1, syntax.Message)
		}
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	c := constraintCompiler{names: names}
	truth, err := c.truth(tree.Node)
	switch {
	case err != nil:
		return nil, err
	case !c.named:
		return nil, errors.New("names no parameter")
	}
	return truth, nil
}

type constraintCompiler struct {
	names []string
	nodes int
	named bool // some parameter is named
}

// count bounds the tree. Every node is visited by truth or number, which call it first.
func (c *constraintCompiler) count() error {
	if c.nodes++; c.nodes > maxConstraintNodes {
		return fmt.Errorf("has more than %d terms", maxConstraintNodes)
	}
	return nil
}

// truth compiles a node that must be true or false.
func (c *constraintCompiler) truth(node ast.Node) (truthFunc, error) {
	if err := c.count(); err != nil {
		return nil, err
	}
	switch n := node.(type) {
	case *ast.UnaryNode:
		if n.Operator != "!" && n.Operator != "not" {
			return nil, errNotTruth(n)
		}
		inner, err := c.truth(n.Node)
		if err != nil {
			return nil, err
		}
		return func(p backtest.Params) bool { return !inner(p) }, nil
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and", "||", "or":
			return c.logic(n)
		case "<", "<=", ">", ">=", "==", "!=":
			return c.comparison(n)
		}
	}
	if err := errForbidden(node); err != nil {
		return nil, err
	}
	return nil, errNotTruth(node)
}

func (c *constraintCompiler) logic(n *ast.BinaryNode) (truthFunc, error) {
	left, err := c.truth(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := c.truth(n.Right)
	if err != nil {
		return nil, err
	}
	if n.Operator == "&&" || n.Operator == "and" {
		return func(p backtest.Params) bool { return left(p) && right(p) }, nil
	}
	return func(p backtest.Params) bool { return left(p) || right(p) }, nil
}

func (c *constraintCompiler) comparison(n *ast.BinaryNode) (truthFunc, error) {
	a, err := c.number(n.Left)
	if err != nil {
		return nil, err
	}
	b, err := c.number(n.Right)
	if err != nil {
		return nil, err
	}
	switch n.Operator {
	case "<":
		return func(p backtest.Params) bool { return a(p) < b(p) }, nil
	case "<=":
		return func(p backtest.Params) bool { return a(p) <= b(p) }, nil
	case ">":
		return func(p backtest.Params) bool { return a(p) > b(p) }, nil
	case ">=":
		return func(p backtest.Params) bool { return a(p) >= b(p) }, nil
	case "==":
		return func(p backtest.Params) bool { return a(p) == b(p) }, nil
	default:
		return func(p backtest.Params) bool { x, y := a(p), b(p); return x < y || x > y }, nil
	}
}

// number compiles a node that must be a number.
func (c *constraintCompiler) number(node ast.Node) (numberFunc, error) {
	if err := c.count(); err != nil {
		return nil, err
	}
	switch n := node.(type) {
	case *ast.IntegerNode:
		value := float64(n.Value)
		return func(backtest.Params) float64 { return value }, nil
	case *ast.FloatNode:
		value := n.Value
		return func(backtest.Params) float64 { return value }, nil
	case *ast.IdentifierNode:
		return c.parameter(n.Value)
	case *ast.StringNode: // a name that is not an identifier, such as "Fast Length"
		if slices.Contains(c.names, n.Value) {
			return c.parameter(n.Value)
		}
	case *ast.UnaryNode:
		if n.Operator != "-" && n.Operator != "+" {
			return nil, errNotNumber(n)
		}
		inner, err := c.number(n.Node)
		if err != nil || n.Operator == "+" {
			return inner, err
		}
		return func(p backtest.Params) float64 { return -inner(p) }, nil
	case *ast.BinaryNode:
		switch n.Operator {
		case "+", "-", "*", "/", "%", "**", "^":
			return c.arithmetic(n)
		}
	}
	if err := errForbidden(node); err != nil {
		return nil, err
	}
	return nil, errNotNumber(node)
}

// parameter is the value of a parameter.
func (c *constraintCompiler) parameter(name string) (numberFunc, error) {
	at := slices.Index(c.names, name)
	if at < 0 {
		return nil, fmt.Errorf("%q is not a parameter of the strategy; those are %s", name, strings.Join(c.names, ", "))
	}
	c.named = true
	return func(p backtest.Params) float64 { return p[at] }, nil
}

func (c *constraintCompiler) arithmetic(n *ast.BinaryNode) (numberFunc, error) {
	a, err := c.number(n.Left)
	if err != nil {
		return nil, err
	}
	b, err := c.number(n.Right)
	if err != nil {
		return nil, err
	}
	switch n.Operator {
	case "+":
		return func(p backtest.Params) float64 { return a(p) + b(p) }, nil
	case "-":
		return func(p backtest.Params) float64 { return a(p) - b(p) }, nil
	case "*":
		return func(p backtest.Params) float64 { return a(p) * b(p) }, nil
	case "/":
		return func(p backtest.Params) float64 { return a(p) / b(p) }, nil
	case "%":
		return func(p backtest.Params) float64 { return math.Mod(a(p), b(p)) }, nil
	default:
		return func(p backtest.Params) float64 { return portable.Pow(a(p), b(p)) }, nil
	}
}

// errForbidden explains a construct that constraints may not use at all, or returns nil.
func errForbidden(node ast.Node) error {
	switch n := node.(type) {
	case *ast.CallNode, *ast.BuiltinNode:
		return errors.New("calls a function; constraints have none")
	case *ast.StringNode, *ast.BytesNode, *ast.NilNode, *ast.BoolNode, *ast.ArrayNode, *ast.MapNode:
		return errors.New("uses a value that is not a number")
	case *ast.BinaryNode:
		switch n.Operator {
		case "+", "-", "*", "/", "%", "**", "^", "<", "<=", ">", ">=", "==", "!=", "&&", "and", "||", "or":
		default:
			return fmt.Errorf("uses the operator %q; use + - * / %% ** < <= > >= == != and or not", n.Operator)
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.IdentifierNode, *ast.UnaryNode:
	default:
		return errors.New("uses syntax that constraints do not have; compare parameters and numbers with and, or, not")
	}
	return nil
}

func errNotTruth(node ast.Node) error {
	return fmt.Errorf("%q is a number where a comparison is needed, such as fast < slow", node.String())
}

func errNotNumber(node ast.Node) error {
	return fmt.Errorf("%q is a comparison where a number is needed", node.String())
}
