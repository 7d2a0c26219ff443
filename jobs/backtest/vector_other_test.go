//go:build !amd64

package backtest

// width is how many numbers the vectors have that this process takes.
func width() int { return 1 }
