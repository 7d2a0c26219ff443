// Package syntax reads Pine Script of versions 1 to 6 into a tree with exact positions.
// It is total: any input gives a tree or diagnostics, never a panic or an endless loop.
//
// Blocks are made by indentation of four spaces or a tab a level. A line whose indentation is not a
// whole number of levels continues the line before it; so does every line inside open brackets, a
// line after one that ends in an operator, and one that begins with an operator which cannot begin a
// statement.
package syntax
