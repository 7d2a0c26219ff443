package pricefile

import (
	"bytes"
	"strings"
)

// layout is whose conventions a file follows, and what they say beyond the file.
type layout struct {
	name      string
	columns   map[int]int // slot to column, of a file without a header
	dateOrder string      // dmy or mdy, by the vendor
	zone      string      // of times without a zone, by the vendor
	broker    bool        // times within a day are of a broker's server, in a zone of its own
	fixed     bool        // whole prices are multiples of 1e-9
}

func columnsOf(time, clock, open, high, low, closes, volume int) map[int]int {
	m := map[int]int{slotTime: time, slotOpen: open, slotHigh: high, slotLow: low, slotClose: closes}
	if clock >= 0 {
		m[slotClock] = clock
	}
	if volume >= 0 {
		m[slotVolume] = volume
	}
	return m
}

// volumeAt is the column of the volume where a row of so many fields has it, else -1.
func volumeAt(fields, at int) int {
	if fields > at {
		return at
	}
	return -1
}

// findLayout recognises a vendor by the names of the columns, or by the first rows where there are none.
func findLayout(names []string, named bool, data [][]byte, split *splitter, before [][]byte) layout {
	if !named {
		return bareLayout(data, split)
	}
	have := map[string]bool{}
	for _, n := range names {
		have[normal(n)] = true
	}
	all := func(list string) bool {
		for _, n := range strings.Fields(list) {
			if !have[n] {
				return false
			}
		}
		return true
	}
	angled := strings.HasPrefix(strings.TrimSpace(names[0]), "<")
	switch {
	case len(before) > 0 && bytes.Contains(bytes.ToLower(before[0]), []byte("cryptodatadownload")):
		return layout{name: "cryptodatadownload", zone: "UTC"}
	case angled && have["tickvol"]:
		return layout{name: "metatrader5", broker: true}
	case angled && have["ticker"]:
		return layout{name: "stooq"}
	case all("ts_event open high low close") && (have["rtype"] || have["instrument_id"]):
		return layout{name: "databento", fixed: true, zone: "UTC"}
	case all("window_start transactions"):
		return layout{name: "polygon"}
	case all("open_time close_time") && (have["quote_volume"] || have["quote_asset_volume"] || have["taker_buy_base_asset_volume"] || have["number_of_trades"] || have["count"]):
		return layout{name: "binance"}
	case all("close_last open high low"):
		return layout{name: "nasdaq", dateOrder: OrderMDY}
	case all("price open high low") && have["change"]:
		return layout{name: "investing"}
	case have["gmt_time"] || have["local_time"]:
		return layout{name: "dukascopy", dateOrder: OrderDMY, zone: map[bool]string{true: "UTC"}[have["gmt_time"]]}
	case all("timestamp open high low close") && (have["dividend_amount"] || have["split_coefficient"]):
		return layout{name: "alphavantage"}
	case all("1_open 2_high 3_low 4_close"):
		return layout{name: "alphavantage"}
	case all("open high low close adj_close") || all("dividends stock_splits"):
		return layout{name: "yahoo"}
	case all("average barcount"):
		return layout{name: "ibkr"}
	}
	return layout{name: "plain"}
}

// bareLayout recognises a file without names by its first row.
func bareLayout(data [][]byte, split *splitter) layout {
	if len(data) == 0 {
		return layout{name: "plain"}
	}
	fields, err := split.split(data[0])
	if err != nil {
		return layout{name: "plain"}
	}
	n, first := len(fields), formOf(fields[0])
	for n > leastFields && len(fields[n-1]) == 0 {
		n--
	}
	switch {
	case n >= 11 && n <= 12 && first == formNumber && formOf(fields[6]) == formNumber && len(fields[6]) == len(fields[0]):
		return layout{name: "binance", columns: columnsOf(0, -1, 1, 2, 3, 4, 5)}
	case first == formISO && len(fields[0]) == 10 && fields[0][4] == '.' && n == 7 && isClock(fields[1]):
		return layout{name: "metatrader4", columns: columnsOf(0, 1, 2, 3, 4, 5, 6), broker: true}
	case first == formCompact && split.delimiter == ';' && n == 6:
		return layout{name: "histdata", columns: columnsOf(0, -1, 1, 2, 3, 4, 5), zone: "Etc/GMT+5"}
	case first == formNumber && n == 7 && len(fields[0]) == 10:
		return layout{name: "kraken", columns: columnsOf(0, -1, 1, 2, 3, 4, 5)}
	case first == formNumber && n == 8 && len(fields[0]) == 10:
		return layout{name: "kraken", columns: columnsOf(0, -1, 1, 2, 3, 4, 6)}
	case first != formNone && isClock(fields[1]) && bytes.IndexByte(fields[1], ':') > 0 && (n == 6 || n == 7):
		return layout{name: "plain", columns: columnsOf(0, 1, 2, 3, 4, 5, volumeAt(n, 6))}
	case first != formNone && (n == 5 || n == 6):
		return layout{name: "plain", columns: columnsOf(0, -1, 1, 2, 3, 4, volumeAt(n, 5))}
	}
	return layout{name: "plain"}
}
