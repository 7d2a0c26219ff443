package pricefile

import (
	"bytes"
	"strings"
)

// The slots are what is read of a row.
const (
	slotTime = iota
	slotClock
	slotOpen
	slotHigh
	slotLow
	slotClose
	slotVolume
	slotAdjusted
	slotTicker
	slotCount
)

var slotNames = [slotCount]string{"time", "clock", "open", "high", "low", "close", "volume", "adjusted", "ticker"}

func slotOf(name string) int {
	for slot, n := range slotNames {
		if n == name {
			return slot
		}
	}
	return -1
}

// The names that vendors give to columns, best first: where a file has several for a slot, the best counts.
var columnNames = [slotCount]string{
	slotTime: "unix unix_timestamp ts_event window_start open_time opentime timestamp timestamp_utc datetime date_time gmt_time utc_time local_time " +
		"time_utc date_utc date_gmt time_gmt start_time starttime begin bar_time ts epoch dt date dtyyyymmdd day time t",
	slotClock:    "clock",
	slotOpen:     "open 1_open open_price openprice price_open o first opening_price opening start_price",
	slotHigh:     "high 2_high high_price highprice price_high h max high_bid",
	slotLow:      "low 3_low low_price lowprice price_low l min low_bid",
	slotClose:    "close 4_close close_last close_price closeprice price_close c last last_price price closing_price closing settlement",
	slotVolume:   "volume 5_volume 6_volume vol trade_volume share_volume volume_traded shares v tickvol tick_volume total_volume base_volume qty",
	slotAdjusted: "adj_close adjclose adjusted_close 5_adjusted_close close_adj close_adjusted adjusted",
	slotTicker:   "ticker symbol tickers symbols instrument_id instrument sym tic security",
}

// normal is a column's name in lower case, with underscores for what stands between words.
func normal(name string) string {
	var b strings.Builder
	gap := false
	for _, c := range []byte(name) {
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z' || isDigit(c):
		default:
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteByte(c)
	}
	return b.String()
}

// rankOf is a name's place among those of a slot, from 0, or -1.
func rankOf(slot int, name string) int {
	for rank, known := range strings.Fields(columnNames[slot]) {
		if known == name {
			return rank
		}
	}
	return -1
}

// priceWords counts the fields that name open, high, low or close.
func priceWords(fields [][]byte) int {
	count := 0
	for slot := slotOpen; slot <= slotClose; slot++ {
		for _, f := range fields {
			if rankOf(slot, normal(string(bytes.TrimSpace(f)))) >= 0 {
				count++
				break
			}
		}
	}
	return count
}
