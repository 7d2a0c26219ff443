// Package types holds Pine's types and the tables of its built-in names by version: what each name
// is, what a call takes and gives, and what an input may be.
package types
