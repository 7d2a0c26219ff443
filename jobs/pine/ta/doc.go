// Package ta holds the indicator functions of Pine Script as kernels: one value of state for each call
// site, one step for each bar on which the call runs. Column runs a kernel over whole series and gives
// the same bits.
//
// It is pure, imports only the bars, and allocates nothing once a kernel's memory has grown. Products
// are rounded before they are added (float64(a*b)+c), so that no processor fuses them and results are
// the same everywhere.
//
// # na
//
// na is NaN. "Compacts" below means that na inputs are not stored and do not count; the result holds
// its last value on such a bar unless said otherwise.
//
//   - sum, sma, wma, hma, vwma, stdev, variance, bb: compact.
//   - ema, rma and what is built on them (rsi, atr, macd, dmi, kc, tsi): compact, and are na on an na bar.
//   - highest, lowest and their bars variants: windows of bars; na inside is ignored.
//   - the other window functions count every call; a window with na in it gives na.
//
// Bars on which a call does not run age highest and lowest, and leave the others as they are.
//
// # Lengths
//
// A length below 1, or na, is ErrLength. A length may change from call to call; a longer one sees at
// least the last 1,024 values.
package ta
