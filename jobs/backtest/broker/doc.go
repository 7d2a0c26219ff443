// Package broker emulates the orders of a charting platform's strategy tester: market, stop, limit
// and stop-limit orders, brackets, trailing stops, pyramiding, reversals, one-cancels-all groups,
// costs, margin and risk rules. It knows no scripting language; a strategy in Go may use it as well.
// It is pure: no I/O, no clock, no goroutine, and no allocation once its memory has grown to a run's
// size.
//
// # A bar
//
// Emulator.Bar works off the orders placed on earlier bars; then the strategy reads the state and
// places orders; then Emulator.AfterScript fills what may fill at the close:
//
//  1. market orders, in order of creation, at the open;
//  2. priced orders that the open has reached or passed, at the open;
//  3. the path: open, high, low, close when the high is nearer to the open than the low is, else
//     open, low, high, close; distances are float64 differences, as equal ones are decided by their
//     rounding errors. On a leg the level nearest to the price so far fills first and the walk
//     continues from there. At one price stops fill before limits and buys before sells. BarDetail
//     takes the bars of a lower timeframe and walks them instead of the assumed path;
//  4. a margin call at the bar's worst price, and the loss rules at its close;
//  5. (the strategy)
//  6. with Settings.ProcessOnClose, market orders and the priced orders that the close has reached;
//     without, only closes placed with immediately.
//
// # Prices
//
// Prices are compared in ticks. A level within 1e-4 of a tick of the grid is on it; otherwise a buy
// stop and a sell limit move up, a sell stop and a buy limit move down. A price equal to a level
// touches it. A stop fills at its level or at the open that gapped through it, with slippage; a limit
// at its level or at a better open, without. A stop-limit becomes a limit where the path touches its
// stop.
//
// # Entries
//
// An entry with the id of a pending one replaces it. An entry placed while the position is opposite
// closes all of it at its fill and opens its own quantity, and so does any market entry that meets an
// opposite position. A priced one placed flat or in the position's direction nets by its own quantity. A priced entry placed while opposite that fills when the
// opposite position is already closed opens its quantity plus the size that position had at the
// call, less what closes earlier on that bar had asked for. Pyramiding limits the entries of a
// direction when the order is placed, and again at the fill for market orders. Order has neither the
// pyramiding nor the reversal rule.
//
// # Exits
//
// An exit acts on the lots of the entry it names, or on all; before they exist it waits for the
// pending entry. Profit, loss and trailing points are ticks from the average entry price of its lots.
// Its stop and its limit are one order. A fill that leaves some of its lots open spends the exit until the
// position is flat. An exit without a quantity takes what exits of the same entry have not reserved.
// When the position closes, its exits go with it; in a reversal those bound to the entry that fills
// stay.
//
// A trailing exit is active once the price reaches its activation level. Its best price starts at the
// close of the bar that placed it, when that is beyond the activation; every open and then the path
// advance it, and the stop follows at the offset.
//
// # Sizes and money
//
// Quantities are rounded down to Settings.LotStep. A market order is sized at the close of the bar
// that places it; a priced order of the default size at its fill. A percentage of equity pays the fee of the
// entry too. Equity is capital, closed profit
// and open profit. Lots close first in, first out; CloseAny closes those of the named entry. Both
// commissions of a lot count when it closes; a cash fee per order is split by quantity when an order
// both closes and opens.
//
// # Margin
//
// An entry that needs more margin than equity at its fill is dropped as a whole, also when it would
// reverse, together with closes called after it on its bar. A reversal needs margin for its new side
// only, but for both when the old one was opened on the same bar. An entry behind a close of its bar,
// and one that exceeds equity only together with an entry of its bar, fill and are trimmed at once. A
// margin call at the open and at the bar's worst price closes four times the shortfall in lots, or one
// unit when that is less than a lot.
//
// # Risk rules
//
// The last fill that a day allows closes the position at its price, or, for an entry that filled inside the
// bar beyond the open, at the extreme that the path reaches; orders of the rest of the day are not placed.
// The drawdown rule looks at the close of bars that close a lot and compares equity with the highest
// realized equity; the intraday rule looks at every close and compares with the day's start. Days of loss
// compare equity at the last close of each day.
package broker
