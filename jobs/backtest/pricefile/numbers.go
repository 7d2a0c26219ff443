package pricefile

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// numbers reads decimal numbers by the marks of one file.
type numbers struct {
	mark      byte // between whole and fraction
	thousands byte // 0: none
	buf       []byte
}

var (
	errNull      = errors.New("is empty")
	errNotNumber = errors.New("is not a number")
	errRange     = errors.New("is out of range")
)

// exactTens are the powers of ten that a float64 holds exactly.
var exactTens = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parse reads a number: the double nearest to it. errNull says that there is none.
func (n *numbers) parse(field []byte) (float64, error) {
	// Up to 15 digits are exact as a whole number, and so is the quotient by an exact power of ten.
	if len(field) > 0 && len(field) <= 16 {
		whole, decimals := uint64(0), -1
		for _, c := range field {
			if d := c - '0'; d <= 9 {
				whole = whole*10 + uint64(d)
				if decimals >= 0 {
					decimals++
				}
				continue
			}
			if c != n.mark || decimals >= 0 {
				return n.parseAny(field)
			}
			decimals = 0
		}
		if whole < 1<<53 && (decimals != 0 || len(field) > 1) {
			if decimals > 0 {
				return float64(whole) / exactTens[decimals], nil
			}
			return float64(whole), nil
		}
	}
	return n.parseAny(field)
}

// parseAny reads what the fast way does not: signs, exponents, currency signs, thousands, K, M and B.
func (n *numbers) parseAny(field []byte) (float64, error) {
	if isNull(field) {
		return 0, errNull
	}
	for _, sign := range [...]string{"$", "€", "£", "¥", "₹"} {
		field = bytes.TrimPrefix(field, []byte(sign))
	}
	scale := 1.0
	if len(field) > 1 {
		switch field[len(field)-1] {
		case 'K', 'k':
			scale = 1e3
		case 'M', 'm':
			scale = 1e6
		case 'B', 'b':
			scale = 1e9
		case 'T', 't':
			scale = 1e12
		}
		if scale > 1 {
			field = field[:len(field)-1]
		}
	}
	text, ok := n.plain(field)
	if !ok {
		return 0, errNotNumber
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errRange
	}
	if err != nil {
		return 0, errNotNumber
	}
	if scale > 1 { // 1.23M is 1230000 exactly
		v = math.Round(v*scale*1e6) / 1e6
	}
	return v, nil
}

// plain returns the number with a point for the mark and without thousands marks, which must stand
// between groups of three digits.
func (n *numbers) plain(field []byte) ([]byte, bool) {
	n.buf = n.buf[:0]
	group, grouped, decimals := 0, false, false
	for i, c := range field {
		switch {
		case isDigit(c):
			group++
		case c == n.mark && !decimals:
			if grouped && group != 3 {
				return nil, false
			}
			decimals, c = true, '.'
		case n.thousands != 0 && c == n.thousands && !decimals:
			if grouped && group != 3 || group == 0 || group > 3 {
				return nil, false
			}
			grouped, group = true, 0
			continue
		case (c == '-' || c == '+') && (i == 0 || field[i-1] == 'e' || field[i-1] == 'E'):
		case (c == 'e' || c == 'E') && i > 0:
			if grouped && !decimals && group != 3 {
				return nil, false
			}
			decimals = true
		default:
			return nil, false
		}
		n.buf = append(n.buf, c)
	}
	if grouped && !decimals && group != 3 {
		return nil, false
	}
	return n.buf, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isNull reports whether a field stands for a missing value.
func isNull(field []byte) bool {
	if len(field) == 0 {
		return true
	}
	if len(field) > 5 {
		return false
	}
	var lower [5]byte
	for i, c := range field {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(field)]) {
	case "-", "--", "null", "nan", "none", "na", "n/a", "#n/a", ".", "nil":
		return true
	}
	return false
}

// marks finds the decimal mark and the thousands mark in samples of prices. certain is false where the
// samples do not decide: 1.234 may be a bit more than one, or over a thousand.
func marks(samples [][]byte, delimiter byte) (mark, thousands byte, certain bool) {
	var point, comma, space evidence
	for _, s := range samples {
		point.look(s, '.', ',')
		comma.look(s, ',', '.')
		space.look(s, ' ', '.')
	}
	if space.seen > 0 {
		thousands = ' '
	}
	switch {
	case point.seen == 0 && comma.seen == 0:
		return '.', thousands, true
	case comma.seen == 0:
		if point.thousands {
			return ',', '.', true
		}
		// With commas between fields, a point is the decimal mark: a comma could not be one.
		return '.', thousands, point.decimal || delimiter != ';'
	case point.seen == 0:
		if comma.thousands {
			return '.', ',', true
		}
		if comma.decimal {
			return ',', thousands, true
		}
		return ',', thousands, false
	case point.decimal || comma.thousands || point.last > comma.last:
		return '.', ',', !comma.decimal && !point.thousands
	}
	return ',', '.', !point.decimal && !comma.thousands
}

// evidence is what samples say of one mark.
type evidence struct {
	seen      int
	last      int  // samples in which it comes after the other mark
	decimal   bool // it stands where no thousands mark can
	thousands bool // it stands twice in a number
}

func (e *evidence) look(s []byte, mark, other byte) {
	at := bytes.LastIndexByte(s, mark)
	if at < 0 {
		return
	}
	e.seen++
	first, others := bytes.IndexByte(s, mark), bytes.IndexByte(s, other)
	if first != at {
		e.thousands = true
		return
	}
	if others >= 0 && others < at {
		e.last++
		e.decimal = true
		return
	}
	digits := 0
	for i := at + 1; i < len(s) && isDigit(s[i]); i++ {
		digits++
	}
	before := at
	for before > 0 && isDigit(s[before-1]) {
		before--
	}
	whole := s[before:at]
	if digits != 3 || len(whole) > 3 || len(whole) == 0 || whole[0] == '0' {
		e.decimal = true
	}
}
