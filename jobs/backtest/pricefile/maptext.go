package pricefile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// mapText finds the columns of a text, its marks and the form of its times. data are the first rows.
func (f *textFile) mapText(data [][]byte, headerRow int) error {
	sample := f.sample(data)
	if len(sample) == 0 {
		return fileError("the file has no rows of data")
	}
	var err error
	switch {
	case f.reading.Header:
		f.m, err = mapColumns(f.names, headerRow, f.opts.Columns, func(i int) bool { return f.onlyClocks(sample, i) })
		if err == nil {
			f.preferTicks(sample)
		}
	case f.opts.Columns != "":
		f.m = noColumns()
		if err = f.m.state(f.opts.Columns, f.names); err == nil {
			err = f.m.complete(f.names, headerRow)
		}
	case f.layout.columns == nil:
		err = ask("columns", headerRow, nil, "the first line %q names no columns, and its %d fields are of no known layout: say which is which, as in columns=time=1,open=2,high=3,low=4,close=5",
			clip(strings.Join(texts(sample[0]), " ")), len(f.names))
	default:
		f.m = noColumns()
		for slot, at := range f.layout.columns {
			f.m[slot] = at
		}
	}
	if err != nil {
		if len(f.reading.Tickers) > 1 && f.opts.Ticker == "" {
			return askTicker(f.reading.Tickers)
		}
		return err
	}
	if f.layout.name == "binance" && f.layout.columns == nil {
		f.layout.zone = "UTC"
	}
	f.spelt, f.reading.Columns, f.reading.Ignored = f.m.spell(f.names, f.reading.Header)
	if err := f.findMarks(sample); err != nil {
		return err
	}
	return f.findTimes(sample)
}

// sample splits the first rows that have as many fields as most, and keeps copies of the fields.
func (f *textFile) sample(data [][]byte) [][][]byte {
	var out [][][]byte
	width := len(f.names)
	for _, row := range data {
		if len(bytes.TrimSpace(row)) == 0 {
			continue
		}
		fields, err := f.split.split(row)
		if err != nil {
			continue
		}
		for len(fields) > width && len(fields[len(fields)-1]) == 0 {
			fields = fields[:len(fields)-1]
		}
		if len(fields) == width {
			out = append(out, slices.Clone(fields))
		}
	}
	return out
}

// onlyClocks reports whether a column holds times of day, and another one the dates.
func (f *textFile) onlyClocks(sample [][][]byte, column int) bool {
	for _, row := range sample {
		field := row[column]
		if len(field) == 0 || len(field) > 15 || !isClock(field) || bytes.IndexByte(field, ':') < 0 && len(field) > 6 {
			return false
		}
	}
	for i, name := range f.names {
		if i != column && rankOf(slotTime, normal(name)) >= 0 && formOf(sample[0][i]) != formNone && !isClock(sample[0][i]) {
			return true
		}
		if i != column && rankOf(slotTime, normal(name)) >= 0 && len(sample[0][i]) >= 6 && bytes.IndexByte(sample[0][column], ':') > 0 {
			return true
		}
	}
	return false
}

// preferTicks reads the number of ticks where MetaTrader's volume is zero, as of currencies.
func (f *textFile) preferTicks(sample [][][]byte) {
	ticks := slices.IndexFunc(f.names, func(n string) bool { return normal(n) == "tickvol" })
	if ticks < 0 || f.m[slotVolume] < 0 || f.m[slotVolume] == ticks {
		return
	}
	for _, row := range sample {
		if s := row[f.m[slotVolume]]; len(bytes.Trim(s, "0.")) > 0 {
			return
		}
	}
	f.m[slotVolume] = ticks
	f.reading.note("the volume is the number of ticks: the file's own volume is zero")
}

// findMarks finds the decimal and the thousands mark in the prices.
func (f *textFile) findMarks(sample [][][]byte) error {
	var prices [][]byte
	for _, row := range sample {
		for slot := slotOpen; slot <= slotClose; slot++ {
			if s := row[f.m[slot]]; !isNull(s) {
				prices = append(prices, s)
			}
		}
	}
	mark, thousands, certain := marks(prices, f.split.delimiter)
	switch {
	case f.opts.Decimal != "":
		if mark = f.opts.Decimal[0]; thousands == mark || thousands == 0 {
			thousands = map[byte]byte{'.': ',', ',': '.'}[mark]
		}
	case !certain && f.layout.name != "histdata":
		example := prices[0]
		for _, s := range prices {
			if bytes.ContainsAny(s, ".,") {
				example = s
				break
			}
		}
		return ask("decimal", f.first, choices["decimal"], "%q may be a bit over %s or %s: say whether the decimal mark is . or ,",
			clip(string(example)), beforeMark(example), strings.NewReplacer(".", "", ",", "").Replace(clip(string(example))))
	}
	if thousands == 0 { // volumes may have them where prices do not
		thousands = map[byte]byte{'.': ',', ',': '.'}[mark]
	} else {
		f.reading.Thousands = string(thousands)
	}
	f.numbers = numbers{mark: mark, thousands: thousands}
	f.reading.DecimalMark = string(mark)
	return nil
}

func beforeMark(s []byte) string {
	at := bytes.IndexAny(s, ".,")
	if at < 0 {
		return clip(string(s))
	}
	return clip(string(s[:at]))
}

// findTimes finds the form of the times in the first row that has one.
func (f *textFile) findTimes(sample [][][]byte) error {
	for _, row := range sample {
		field := row[f.m[slotTime]]
		if f.m[slotClock] < 0 && isNull(field) {
			continue
		}
		f.times = newTimeParser(field)
		if f.times.form == formNone {
			return &RowError{f.first, f.spelt[slotTime], clip(string(field)), "is not a time: want one such as 2024-01-31 09:30:00, 31/01/2024, Jan 31 2024 or a Unix time"}
		}
		if f.times.form == formDay {
			switch {
			case f.opts.DateOrder != "":
				f.times.order = f.opts.DateOrder
			case f.times.mark == '.': // nobody writes the month first with points
				f.times.order = OrderDMY
			case f.layout.dateOrder != "":
				f.times.order = f.layout.dateOrder
			}
		}
		f.reading.TimeFormat = spellForm(field, f.times)
		return nil
	}
	return fileError("the column %q has no time in the first rows", f.spelt[slotTime])
}

// spellForm describes the form of times by the first one.
func spellForm(field []byte, p timeParser) string {
	text := map[form]string{
		formISO: fmt.Sprintf("YYYY%cMM%cDD", p.mark, p.mark), formText: "month name", formCompact: "YYYYMMDD", formNumber: "number",
		formDay: map[string]string{OrderDMY: "DD/MM/YYYY", OrderMDY: "MM/DD/YYYY"}[p.order],
	}[p.form]
	text = strings.ReplaceAll(text, "/", string(p.mark))
	if len(field) > 10 && p.form != formNumber && p.form != formText {
		text += " and a time of day"
	}
	return text
}

func askTicker(tickers []string) error {
	const most = 20
	return ask("ticker", 0, tickers[:min(len(tickers), most)], "the file holds %d instruments or more: say which one to read", len(tickers))
}
