// Package backtest runs one trading strategy over one instrument's bars and measures the result.
// It is pure: no I/O, no clock, no goroutine.
//
// # Fills
//
// A signal is decided on a bar's close and filled at the next bar's open, moved against the trader
// by Account.Slippage. Commission is a fraction of the traded value, paid on entry and on exit;
// CommissionPresets name usual ones.
//
//   - Size in (0,1] spends that fraction of equity: units = size·equity / (price·(1+commission)),
//     rounded down with WholeUnits. Size above 1 is a number of units, and an entry that equity
//     cannot pay for is not made.
//   - One position is open at a time. A signal in its direction changes nothing. An opposite signal
//     closes it and, with Account.Exclusive, opens the opposite position at the same open; without,
//     the opposite order nets the position to flat. A side that may not be traded is only closed.
//   - A signal on the window's last bar has no next open and is dropped. A position open at the end
//     is closed on the last bar's close, with commission and slippage, for reason "end".
//   - Equity at or below zero closes the position on that bar's close for reason "ruin", and the run
//     trades no more.
//
// # Stops and targets
//
// Distances are fixed at the entry, in percent of its price or in average true ranges of the
// signal's bar, and are in force from the entry bar on, as the entry is at its open. A trailing
// stop follows the best high (low, for a short) of the bars completed since the entry.
//
//   - A stop fills at the worse of its price and the bar's open (a gap goes through it), with
//     slippage: it is a market order once touched.
//   - A target fills at its limit price, even when the bar opens beyond it, without slippage.
//   - A bar that opens beyond one of them has met that one first. Otherwise, when the bar touches
//     both: PolicyWorst takes the stop, PolicyBest the target, PolicyOHLCPath the one on the side of
//     the extreme nearer to the open (the stop, when both are as near),
//     PolicyRandom picks by Config.Seed and the bar.
//
// Bars may have others inside, of a lower timeframe (Bars.WithDetail). Then the first of those that meets a
// stop or a target fills it, by the rules above applied to it; only when one of them meets both does the policy
// decide. What trails still follows completed bars of the history itself.
//
// # Windows and warm-up
//
// Signals are computed over the whole history, each from its own bar and earlier ones only, so a
// window starts with indicators warmed up on the bars before it. It starts flat: a signal decided
// before the window is not filled in it.
//
// # Metrics
//
// Returns are those of the equity at each day's last close, or at each bar's close when bars are a
// day or longer; the first is measured from the starting cash. Days end by the instrument's session and
// zone, else at midnight in UTC. With A periods a year, which belong to the dataset (Instrument), and
// else follow from the calendar (252, 260 or 365 days) and the distance between bars; and t years from
// the beginning of the first bar to the end of the last:
//
//	Sharpe  = √A · mean(r) / std(r), ddof 1           (Sharpe 1994, without a risk-free rate)
//	Sortino = √A · mean(r) / √mean(min(r,0)²)         (Sortino & Price 1994, target 0)
//	CAGR    = (final/cash)^(1/t) − 1                  (a year has 365.2425 days)
//	Calmar  = CAGR % / max drawdown %
//	SQN     = √n · mean(pnl) / std(pnl), ddof 1       (Tharp)
//
// A CAGR over 1,000,000 % is an overflow: null with that reason, and no score. ReturnOverDrawdown is
// return % / max drawdown %. UnpaidOrders counts entries that cash did not pay for.
//
// Skew and Kurt are moment ratios with population moments; a normal sample's Kurt is near 3.
package backtest
