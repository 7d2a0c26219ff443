// Package pine runs Pine Script strategies over bars: Compile makes a program of a script, a Run
// executes it bar by bar against the order emulator. It is pure: no I/O, no clock, no goroutine.
package pine
