package pricefile

import (
	"bytes"
)

// withClock adds to a day what stands after its date: a time of day, AM or PM, an offset, a zone.
func withClock(day int64, rest []byte) (moment, error) {
	m := moment{at: day}
	if len(rest) == 0 {
		return m, nil
	}
	switch rest[0] {
	case 'T', 't', ' ', '-', '_', ';', ':':
		rest = bytes.TrimLeft(rest[1:], " ")
	default:
		return m, errTimeFormat
	}
	if len(rest) == 0 {
		return m, nil
	}
	clock, rest, err := parseClock(rest)
	if err != nil {
		return m, err
	}
	m.at, m.clock = day+clock, true
	if len(rest) == 0 {
		return m, nil
	}
	offset, absolute, zone, err := parseZone(bytes.TrimLeft(rest, " "))
	if err != nil {
		return m, err
	}
	m.absolute, m.zone = absolute, zone
	m.at -= offset
	return m, nil
}

// parseClock reads HH:MM[:SS[.fraction]][ AM], HHMM, HHMMSS or HH-AM, and returns what follows.
func parseClock(s []byte) (micros int64, rest []byte, err error) {
	hour, rest := leading(s, 6)
	minute, second := 0, 0
	var fraction int64
	switch width := len(s) - len(rest); {
	case width == 5 || width == 6:
		hour, minute, second = hour/10_000, hour/100%100, hour%100
	case width == 3 || width == 4:
		hour, minute = hour/100, hour%100
	case width == 0:
		return 0, nil, errTimeFormat
	case len(rest) > 1 && rest[0] == ':':
		before := len(rest)
		if minute, rest = leading(rest[1:], 2); before-len(rest) != 3 {
			return 0, nil, errTimeFormat
		}
		if len(rest) > 1 && rest[0] == ':' {
			before = len(rest)
			if second, rest = leading(rest[1:], 2); before-len(rest) != 3 {
				return 0, nil, errTimeFormat
			}
		}
	}
	if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') && isDigit(rest[1]) {
		fraction, rest = fractionOf(rest[1:])
	}
	if half := bytes.TrimLeft(rest, " -"); len(half) >= 2 && half[1]|0x20 == 'm' && (half[0]|0x20 == 'a' || half[0]|0x20 == 'p') && (len(half) == 2 || !isLetter(half[2])) {
		if hour < 1 || hour > 12 {
			return 0, nil, errNoClock
		}
		hour %= 12
		if half[0]|0x20 == 'p' {
			hour += 12
		}
		rest = half[2:]
	}
	if hour > 23 || minute > 59 || second > 59 {
		return 0, nil, errNoClock
	}
	return int64(hour*3600+minute*60+second)*1_000_000 + fraction, rest, nil
}

// isClock reports whether a field is a time of day alone.
func isClock(field []byte) bool {
	_, rest, err := parseClock(field)
	return err == nil && len(rest) == 0 && len(field) > 0
}

// fractionOf reads digits as a fraction of a second, in microseconds, and returns what follows them.
func fractionOf(s []byte) (micros int64, rest []byte) {
	unit := int64(100_000)
	for len(s) > 0 && isDigit(s[0]) {
		micros += int64(s[0]-'0') * unit
		unit /= 10
		s = s[1:]
	}
	return micros, s
}

// parseZone reads Z, UTC, GMT, ±hh, ±hhmm, ±hh:mm, one of these after GMT or UTC, the name of a zone, or an
// offset with a name in brackets. The offset is in microseconds east of UTC.
func parseZone(s []byte) (offset int64, absolute bool, zone string, err error) {
	if len(s) == 0 {
		return 0, false, "", nil
	}
	if at := bytes.IndexByte(s, '['); at > 0 && s[len(s)-1] == ']' {
		s = s[:at] // the offset before it says the same
	} else if at == 0 && s[len(s)-1] == ']' {
		return 0, false, string(s[1 : len(s)-1]), nil
	}
	switch string(s) {
	case "Z", "z", "UTC", "GMT":
		return 0, true, "", nil
	}
	if bytes.HasPrefix(s, []byte("GMT")) || bytes.HasPrefix(s, []byte("UTC")) {
		s = bytes.TrimLeft(s[3:], " ")
	}
	sign := int64(1)
	switch {
	case len(s) == 0:
		return 0, true, "", nil
	case s[0] == '-':
		sign = -1
	case s[0] == '+':
	case isLetter(s[0]):
		return 0, false, string(s), nil
	default:
		return 0, false, "", errTimeFormat
	}
	hours, rest := leading(s[1:], 4)
	minutes, seconds := 0, 0
	switch len(s) - 1 - len(rest) {
	case 4:
		hours, minutes = hours/100, hours%100
	case 1, 2:
		if len(rest) >= 3 && rest[0] == ':' {
			minutes, rest = leading(rest[1:], 2)
		}
		if len(rest) >= 3 && rest[0] == ':' {
			seconds, rest = leading(rest[1:], 2)
		}
	default:
		return 0, false, "", errTimeFormat
	}
	if len(bytes.TrimSpace(rest)) > 0 || hours > 23 || minutes > 59 {
		return 0, false, "", errTimeFormat
	}
	return sign * int64(hours*3600+minutes*60+seconds) * 1_000_000, true, "", nil
}
