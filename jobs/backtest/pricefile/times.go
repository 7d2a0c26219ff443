package pricefile

import (
	"bytes"
	"errors"
)

// The times a Bars may hold, as microseconds: years 1 to 9999, which RFC 3339 can write.
const (
	minMicros = -62_135_596_800 * 1_000_000
	maxMicros = 253_402_300_799*1_000_000 + 999_999
	microsDay = 86_400_000_000
)

var (
	errTimeFormat = errors.New("is not a time of the file's form")
	errTimeRange  = errors.New("is outside the years 1 to 9999")
	errNoDay      = errors.New("is not a day of the calendar")
	errNoClock    = errors.New("is not a time of day")
)

// form is how a file writes its times.
type form uint8

const (
	formNone    form = iota
	formISO          // year, month, day
	formDay          // day and month in some order, year
	formText         // the month by its name
	formCompact      // YYYYMMDD, then a time of day
	formNumber       // one number
)

// moment is one parsed time.
type moment struct {
	at       int64 // microseconds of the wall clock, or of UTC when absolute; of formDay without an order, packed; of formNumber, the whole number
	fraction float64
	clock    bool   // it has a time of day
	absolute bool   // it had an offset
	zone     string // the name of a zone or an abbreviation, when it had one
}

// formOf finds the form of a time. The file's first one decides.
func formOf(field []byte) form {
	digits := 0
	for digits < len(field) && isDigit(field[digits]) {
		digits++
	}
	switch {
	case len(field) == 0:
		return formNone
	case digits == len(field), isNumeric(field):
		return formNumber
	case digits == 4 && isDateMark(field[4]):
		return formISO
	case digits == 8:
		return formCompact
	case (digits == 1 || digits == 2) && isDateMark(field[digits]):
		rest := field[digits+1:]
		if len(rest) > 0 && isLetter(rest[0]) {
			return formText
		}
		return formDay
	case digits <= 2 && namesMonth(field):
		return formText
	}
	return formNone
}

// namesMonth reports whether a text has a month's name and a number.
func namesMonth(field []byte) bool {
	month := false
	for _, word := range bytes.FieldsFunc(field, func(r rune) bool { return r > 'z' || !isLetter(byte(r)) }) {
		month = month || monthOf(word) > 0
	}
	return month && bytes.ContainsAny(field, "0123456789")
}

func isDateMark(c byte) bool { return c == '-' || c == '/' || c == '.' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isNumeric reports whether a field is a signed decimal, such as -1577836800 or 45293.5.
func isNumeric(field []byte) bool {
	digits, dots := 0, 0
	for i, c := range field {
		switch {
		case isDigit(c):
			digits++
		case c == '.':
			dots++
		case i == 0 && (c == '-' || c == '+'):
		default:
			return false
		}
	}
	return digits > 0 && dots <= 1 && field[len(field)-1] != '.'
}

// timeParser parses the times of one file.
type timeParser struct {
	form form
	mark byte // between the parts of a date
	// order of day and month, when it is known: formDay packs the parts otherwise.
	order string
	// The date lately parsed: rows of one day repeat it.
	known   [10]byte
	knownAt int64
}

func newTimeParser(sample []byte) timeParser {
	p := timeParser{form: formOf(sample)}
	if i := bytes.IndexAny(sample, "-/."); i >= 0 {
		p.mark = sample[i]
	}
	return p
}

// parse reads one time in the file's form.
func (p *timeParser) parse(field []byte) (moment, error) {
	switch p.form {
	case formISO:
		return p.iso(field)
	case formDay:
		return p.day(field)
	case formText:
		return p.text(field)
	case formCompact:
		return p.compact(field)
	case formNumber:
		return number(field)
	}
	return moment{}, errTimeFormat
}

// iso reads YYYY-MM-DD with any mark, one or two digits each, and what follows.
func (p *timeParser) iso(field []byte) (moment, error) {
	if len(field) >= 10 && bytes.Equal(field[:10], p.known[:]) {
		return withClock(p.knownAt, field[10:])
	}
	year, rest := leading(field, 4)
	if len(rest) == 0 || rest[0] != p.mark {
		return moment{}, errTimeFormat
	}
	month, rest := leading(rest[1:], 2)
	if len(rest) == 0 || rest[0] != p.mark {
		return moment{}, errTimeFormat
	}
	day, rest := leading(rest[1:], 2)
	at, err := midnight(year, month, day)
	if err != nil {
		return moment{}, err
	}
	if len(field)-len(rest) == 10 {
		copy(p.known[:], field)
		p.knownAt = at
	}
	return withClock(at, rest)
}

// day reads DD/MM/YYYY or MM/DD/YYYY with any mark: packed, as only the whole file says which.
func (p *timeParser) day(field []byte) (moment, error) {
	first, rest := leading(field, 2)
	if len(rest) == 0 || rest[0] != p.mark {
		return moment{}, errTimeFormat
	}
	second, rest := leading(rest[1:], 2)
	if len(rest) == 0 || rest[0] != p.mark {
		return moment{}, errTimeFormat
	}
	before := len(rest)
	year, rest := leading(rest[1:], 4)
	if before-len(rest) == 3 {
		year = century(year)
	}
	at := int64(0)
	var err error
	switch p.order {
	case OrderDMY:
		at, err = midnight(year, second, first)
	case OrderMDY:
		at, err = midnight(year, first, second)
	default:
		if first < 1 || second < 1 || first > 31 || second > 31 || year < 1 || year > 2999 {
			return moment{}, errNoDay
		}
	}
	if err != nil {
		return moment{}, err
	}
	m, err := withClock(at, rest)
	if err == nil && p.order == "" {
		m.at = packDay(year, first, second, m.at)
	}
	return m, err
}

func century(year int) int {
	if year < 70 {
		return 2000 + year
	}
	return 1900 + year
}

// packedDay is the room of one date: a clock less its offset reaches into the days beside it.
const packedDay = 3 * microsDay

// packDay keeps the parts of a date until their order is known.
func packDay(year, first, second int, clock int64) int64 {
	return (int64(year)*10_000+int64(first)*100+int64(second))*packedDay + clock + microsDay
}

func unpackDay(at int64) (year, first, second int, clock int64) {
	date := at / packedDay
	return int(date / 10_000), int(date / 100 % 100), int(date % 100), at%packedDay - microsDay
}

// text reads Jan 2 2024, Jan 02, 2024, 02-Jan-2024, 2 Jan 24 and the like.
func (p *timeParser) text(field []byte) (moment, error) {
	var year, month, day = -1, 0, 0
	rest := field
	for part := 0; part < 3; part++ {
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == ',' || rest[0] == '-' || rest[0] == '/' || rest[0] == '.') {
			rest = rest[1:]
		}
		if len(rest) > 0 && isLetter(rest[0]) {
			n := 0
			for n < len(rest) && isLetter(rest[n]) {
				n++
			}
			if m := monthOf(rest[:n]); m > 0 && month == 0 {
				month = m
			} else if part > 0 || n < 3 {
				return moment{}, errTimeFormat
			} else {
				part-- // a weekday before the date
			}
			rest = rest[n:]
			continue
		}
		n, after := leading(rest, 4)
		width := len(rest) - len(after)
		switch {
		case width == 0:
			return moment{}, errTimeFormat
		case width <= 2 && day == 0:
			day = n
		case width == 4 && year < 0:
			year = n
		case width == 2 && year < 0:
			year = century(n)
		default:
			return moment{}, errTimeFormat
		}
		rest = after
	}
	at, err := midnight(year, month, day)
	if err != nil {
		return moment{}, err
	}
	if len(rest) > 0 && rest[0] == ',' {
		rest = rest[1:]
	}
	return withClock(at, rest)
}

func monthOf(word []byte) int {
	if len(word) < 3 {
		return 0
	}
	at := bytes.Index([]byte("janfebmaraprmayjunjulaugsepoctnovdec"), bytes.ToLower(word[:3]))
	if at < 0 || at%3 != 0 {
		return 0
	}
	return at/3 + 1
}

// compact reads YYYYMMDD and what follows: 093000, or a clock.
func (p *timeParser) compact(field []byte) (moment, error) {
	if len(field) < 8 {
		return moment{}, errTimeFormat
	}
	date, rest := leading(field, 8)
	if len(field)-len(rest) != 8 {
		return moment{}, errTimeFormat
	}
	at, err := midnight(date/10_000, date/100%100, date%100)
	if err != nil {
		return moment{}, err
	}
	return withClock(at, rest)
}

// number reads a whole or decimal number.
func number(field []byte) (moment, error) {
	negative := false
	if len(field) > 0 && (field[0] == '-' || field[0] == '+') {
		negative, field = field[0] == '-', field[1:]
	}
	var m moment
	i := 0
	for ; i < len(field) && isDigit(field[i]); i++ {
		if i >= 18 && m.at > 922_337_203_685_477_579 {
			return m, errTimeRange
		}
		m.at = m.at*10 + int64(field[i]-'0')
	}
	if i == 0 {
		return m, errTimeFormat
	}
	if i < len(field) {
		if field[i] != '.' {
			return m, errTimeFormat
		}
		unit := 0.1
		for _, c := range field[i+1:] {
			if !isDigit(c) {
				return m, errTimeFormat
			}
			m.fraction += float64(float64(c-'0') * unit)
			unit /= 10
		}
	}
	if negative {
		m.at, m.fraction = -m.at, -m.fraction
	}
	return m, nil
}

// leading reads at most so many digits and returns what follows them.
func leading(field []byte, most int) (int, []byte) {
	n, i := 0, 0
	for i < len(field) && i < most && isDigit(field[i]) {
		n = n*10 + int(field[i]-'0')
		i++
	}
	return n, field[i:]
}

// midnight is a day's beginning in microseconds of the wall clock.
func midnight(year, month, day int) (int64, error) {
	if year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, errNoDay
	}
	// Days since 1970 by the count of eras of 400 years that begin in March.
	y, m := year, month
	if m <= 2 {
		y--
		m += 12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + day - 1 - 719_468
	return int64(days) * microsDay, nil
}

func daysIn(year, month int) int {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month/8)&1
}
