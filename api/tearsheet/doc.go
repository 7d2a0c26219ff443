// Package tearsheet writes one result as a page of its own: the verdict with its tests, equity beside
// buy-and-hold, drawdown, months, the rolling Sharpe ratio, the worst drawdowns and costs. The page has its
// style and charts inside and nothing else: no script, no font, no address. It can be saved, sent and printed.
// The package computes nothing that is stored and reads nothing but its Sheet.
package tearsheet
