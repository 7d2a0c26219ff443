// Package tradelist writes and reads lists of trades in the columns of the "List of trades" that
// TradingView exports, and says where two lists part and why they are likely to. It is pure: no I/O
// but on the reader and writer that it is given.
//
// # Columns
//
// A trade is two rows, its exit and then its entry, which share their number: Trade #, Type ("Entry
// long", "Exit short"), Date and time (of the bar's open), Signal, Price, Position size (qty), Position
// size (value), Net P&L, Net P&L %, Favorable excursion, Favorable excursion %, Adverse excursion,
// Adverse excursion %, Cumulative P&L, Cumulative P&L %. Money is in the account's currency. Write writes times in
// UTC; Read takes them as UTC, or in the zone it is given. A list of an older form (Date/Time, Contracts,
// Profit, Run-up), with a currency in its headings, with semicolons or with thousands separated is read as well.
//
// # Comparing
//
// Compare first finds by how many hours the times of the list are shifted, then leaves out what only one
// side can have: trades before the first bar or after the last. The first trade on which the two lists
// differ is the difference; the likely reason is found by trying one after the other how much of
// all the rest each would explain. It is a hint, not a proof.
package tradelist
