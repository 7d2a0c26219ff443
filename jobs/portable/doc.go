// Package portable is the mathematical functions whose results are stored, with the same bits on every
// machine. The standard library's differ in their last bits from one architecture to another: some are
// written in assembly, and where a processor has an instruction that multiplies and adds with one rounding,
// the compiler uses it. These are the library's portable algorithms with every product rounded, which the
// explicit conversions see to.
//
// What is not here is exact in the standard library on every machine: Sqrt, Floor, Ceil, Trunc, Round, Abs,
// Mod, Modf, Frexp, Ldexp, Pow10, Max and Min.
package portable
