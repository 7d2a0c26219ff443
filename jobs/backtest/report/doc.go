// Package report makes the tables of a tear sheet from one equity curve: returns by month and year, the
// rolling Sharpe ratio, the worst drawdowns with their dates, and what buying and holding would have
// given. It computes and does not draw; what it computes is not stored.
//
// A Curve is the equity at each bar's close over a window of bars, begun from Start. Times are Unix
// microseconds, UTC. Months are those of the bars' zone (backtest.Bars.Zone). Returns and drawdowns are
// in percent, a drawdown as a positive number. A figure that is undefined is NaN.
package report
