// Package ir holds a script as typed three-address instructions in structured blocks, and makes them
// of the tree: names are resolved, every user function is inlined at each of its calls (so that each
// copy owns its state), constants are folded, and what reaches neither an order nor an error is dropped.
//
// Every value is one float64: na is NaN, a bool is 0 or 1, an int a whole number, a string the number
// of its text, a reference the number of its object. A slot is a register that holds one value.
package ir
