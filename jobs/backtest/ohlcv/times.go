package ohlcv

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var (
	errTimeFormat = errors.New("is not a time: want RFC 3339, YYYY-MM-DD, YYYY-MM-DD HH:MM:SS or Unix seconds, ms, µs or ns")
	errAmbiguous  = errors.New("may be a date or Unix seconds: write a date as YYYY-MM-DD")
	errTimeRange  = errors.New("is outside the years 1 to 9999")
)

// The times a Bars may hold, as microseconds: years 1 to 9999, which RFC 3339 can write.
const (
	minMicros = -62_135_596_800 * 1_000_000
	maxMicros = 253_402_300_799*1_000_000 + 999_999
)

// parseTime reads one time in any accepted form as Unix microseconds. Digits below a microsecond
// are dropped.
func parseTime(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, errors.New("is empty")
	}
	if isNumber(s) {
		return parseUnix(s)
	}
	if len(s) >= 10 && s[4] == '-' && s[7] == '-' {
		return parseISO(s)
	}
	for _, layout := range [...]string{"Jan 2 2006", "Jan 2, 2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return checkMicros(t.UnixMicro())
		}
	}
	return 0, errTimeFormat
}

func checkMicros(us int64) (int64, error) {
	if us < minMicros || us > maxMicros {
		return 0, errTimeRange
	}
	return us, nil
}

// isNumber reports whether s is an optionally signed decimal, such as 1577836800 or 1577836800.5.
func isNumber(s string) bool {
	digits, dots := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
		case c == '.':
			dots++
		case i == 0 && (c == '-' || c == '+'):
		default:
			return false
		}
	}
	return digits > 0 && dots <= 1
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseUnix reads a Unix time, whose unit it takes from the magnitude.
func parseUnix(s string) (int64, error) {
	whole, frac, _ := strings.Cut(s, ".")
	if len(s) == 8 && isDigit(s[0]) && frac == "" {
		if _, err := time.Parse("20060102", s); err == nil && (s[:2] == "19" || s[:2] == "20") {
			return 0, errAmbiguous
		}
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, errTimeFormat
	}
	if strings.Trim(frac, "0") == "" {
		return unixMicros(n)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(f) >= unixSecondsBelow {
		return 0, errTimeFormat
	}
	return checkMicros(int64(math.Round(f * 1e6)))
}

// Below these magnitudes a Unix time is in seconds (until the year 5138), in milliseconds, in
// microseconds; from the last on, in nanoseconds. Milliseconds before March 1973 read as seconds.
const (
	unixSecondsBelow = 1e11
	unixMillisBelow  = 1e14
	unixMicrosBelow  = 1e17
)

func unixMicros(n int64) (int64, error) {
	size := math.Abs(float64(n))
	switch {
	case size < unixSecondsBelow:
		return n * 1_000_000, nil
	case size < unixMillisBelow:
		return n * 1_000, nil
	case size < unixMicrosBelow:
		return checkMicros(n)
	}
	return floorDiv(n, 1_000), nil
}

func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

// parseISO reads YYYY-MM-DD[(T| )HH:MM[:SS[.fraction]][ ][zone]].
func parseISO(s string) (int64, error) {
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 {
		return 0, errTimeFormat
	}
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, errors.New("is not a day of the calendar")
	}
	days := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix()
	clock, offset, err := parseClock(s[10:])
	if err != nil {
		return 0, err
	}
	return checkMicros((days-offset)*1_000_000 + clock)
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// digits reads an unsigned decimal of one to nine digits.
func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != "" && len(s) <= 9
}

// parseClock reads what follows a date: the time of day in microseconds and the zone's offset in
// seconds east of UTC.
func parseClock(s string) (micros, offset int64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	if len(s) < 6 || (s[0] != 'T' && s[0] != 't' && s[0] != ' ') || s[3] != ':' {
		return 0, 0, errTimeFormat
	}
	hour, ok1 := digits(s[1:3])
	minute, ok2 := digits(s[4:6])
	second, frac, rest := 0, int64(0), s[6:]
	ok3 := true
	if len(rest) >= 3 && rest[0] == ':' {
		second, ok3 = digits(rest[1:3])
		rest = rest[3:]
		if len(rest) > 1 && rest[0] == '.' {
			frac, rest = fraction(rest[1:])
		}
	}
	if !ok1 || !ok2 || !ok3 {
		return 0, 0, errTimeFormat
	}
	if hour > 23 || minute > 59 || second > 59 {
		return 0, 0, errors.New("is not a time of day")
	}
	if offset, err = parseZone(strings.TrimLeft(rest, " ")); err != nil {
		return 0, 0, err
	}
	return int64(hour*3600+minute*60+second)*1_000_000 + frac, offset, nil
}

// fraction reads digits as a fraction of a second, in microseconds, and returns what follows them.
func fraction(s string) (micros int64, rest string) {
	unit := int64(100_000)
	for s != "" && isDigit(s[0]) {
		micros += int64(s[0]-'0') * unit
		unit /= 10
		s = s[1:]
	}
	return micros, s
}

// parseZone reads Z, UTC, ±hh, ±hhmm or ±hh:mm; none is UTC.
func parseZone(s string) (int64, error) {
	switch s {
	case "", "Z", "z", "UTC", "GMT":
		return 0, nil
	}
	bad := errors.New("has no usable offset: want Z or ±hh:mm")
	sign := int64(1)
	switch s[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, bad
	}
	body := s[1:]
	if len(body) == 5 && body[2] == ':' {
		body = body[:2] + body[3:]
	}
	if len(body) == 2 {
		body += "00"
	}
	n, ok := digits(body)
	if !ok || len(body) != 4 || n/100 > 23 || n%100 > 59 {
		return 0, bad
	}
	return sign * int64(n/100*3600+n%100*60), nil
}
