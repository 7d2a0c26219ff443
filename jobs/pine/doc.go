// Package pine runs Pine Script strategies over bars. It is pure: no I/O, no clock, no goroutine.
//
// # From script to program
//
// Compile reads the source (package syntax), resolves names by the script's version (package types),
// writes every function out at each of its calls and drops what reaches neither an order nor an error
// (package ir). Split then parts what is left in three:
//
//   - constants of a trial, which depend on inputs only;
//   - columns, which depend on bars and inputs but not on the broker, through variables, loops,
//     collections and branches alike. A column is computed over all bars once for each combination of
//     the inputs that reach it, and shared by all runs made of one Columns. Instructions that depend on
//     each other in a circle run together bar by bar; laws of ta run over whole columns; the rest is
//     elementwise, in blocks;
//   - the residue, which reads the broker's state and gives the orders.
//
// A residue that keeps no state from bar to bar runs only on bars where the known part of an order's
// condition holds (classes S and B); between them the emulator coasts. These conditions are kept as bits,
// one a bar, so that the next event is found 64 bars at a time. Otherwise the residue runs on every bar (class P), but
// not while the broker is idle, once a run has changed nothing and until a condition holds that may change something.
//
// A sweep does not follow equity and lots inside bars unless the script reads a drawdown or run-up: a bar
// on which nothing fills then costs its equity only. Executing every instruction on every bar gives the
// same trades and the same equity, to the bit: TestHoistedAndJumpingRunsTradeAsPlainOnes holds random
// scripts to it, and FuzzWaysOfExecution those of any seeds.
//
// # Values
//
// Every value is one float64; see package ir. Comparisons written in a script take values within
// 1e-10 of each other as equal. The history of a variable counts the bars on which its scope ran, that
// of a built-in variable counts bars.
//
// # Limits
//
// A source has at most 256 KiB and 100,000 words, nests at most 100 deep, and becomes at most 50,000
// instructions. A run makes at most 10,000 passes of loops a bar and 2³¹ in all, holds 100,000
// objects, 100,000 elements a collection, 800,000 in all, 200,000 texts of 4,096 bytes and 16 MiB of
// them. What is beyond fails the trial with the line as a *RunError, and OnStop ends a run from outside.
package pine
