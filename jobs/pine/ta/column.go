package ta

import "millrace/jobs/backtest"

// fastLength is the longest window of a column that is computed without a pause.
const fastLength = 2000

// fastColumn runs functions of a series and a constant length without a call through the interface for each bar.
func fastColumn(name string, b *backtest.Bars, args, out [][]float64) (done bool, err error) {
	if len(args) != 2 || len(args[1]) != 1 || len(args[0]) != len(out[0]) {
		return false, nil
	}
	n, err := length(args[1][0])
	if err != nil {
		return newSingle(name, b) != nil, err
	}
	if n > fastLength {
		return false, nil // it may take long: see ColumnUntil
	}
	x, to := args[0], out[0]
	switch name {
	case "sma":
		column(&sma{}, x, to, n)
	case "ema":
		column(&ema{}, x, to, n)
	case "rma":
		column(&rma{}, x, to, n)
	case "rsi":
		column(&rsi{}, x, to, n)
	case "highest":
		column(&extreme{sign: 1}, x, to, n)
	case "lowest":
		column(&extreme{sign: -1}, x, to, n)
	default:
		return false, nil
	}
	return true, nil
}

// column is the loop over one kernel.
func column[K single](k K, x, to []float64, n int) {
	for i, v := range x {
		to[i] = k.next(i, v, n)
	}
}
