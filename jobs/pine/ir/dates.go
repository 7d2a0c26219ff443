package ir

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDate is a written date in milliseconds since 1970: year, month and day in any usual order, the
// month as a number or by its name, then the time of day and the zone where they are given. Without a
// zone it is UTC.
func ParseDate(s string) (int64, error) {
	d := dateReader{text: strings.TrimSpace(s)}
	if !d.read() {
		return 0, fmt.Errorf("%q is not a date", s)
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, time.FixedZone("", d.zone))
	if t.Day() != d.day || int(t.Month()) != d.month {
		return 0, fmt.Errorf("%q is a day that does not exist", s)
	}
	return t.UnixMilli(), nil
}

// dateReader takes a date apart.
type dateReader struct {
	text                                   string
	year, month, day, hour, minute, second int
	zone                                   int // seconds east of UTC
}

func (d *dateReader) read() bool {
	var numbers []int
	yearAt := -1
	named := false
	for d.text != "" && !d.timeNext() {
		switch word := d.letters(); {
		case word == "":
			before := len(d.text)
			n, ok := d.number()
			if !ok || len(numbers) == 3 {
				return false
			}
			if before-len(d.text) >= 4 {
				yearAt = len(numbers)
			}
			numbers = append(numbers, n)
		case monthOf(word) > 0 && !named:
			d.month, named = monthOf(word), true
		case !weekday(word):
			return false
		}
		d.separators()
		if len(numbers) == 3 || named && len(numbers) == 2 {
			break
		}
	}
	return d.date(numbers, named, yearAt) && d.clock() && d.offset()
}

// date puts the numbers in their places: the year has four digits; without a name the month stands before
// the day.
func (d *dateReader) date(numbers []int, named bool, yearAt int) bool {
	if yearAt < 0 {
		return false
	}
	d.year = numbers[yearAt]
	rest := append(numbers[:yearAt:yearAt], numbers[yearAt+1:]...)
	switch {
	case named && len(rest) == 1:
		d.day = rest[0]
	case !named && len(rest) == 2:
		d.month, d.day = rest[0], rest[1]
	default:
		return false
	}
	return d.year >= 1 && d.year <= 9999 && d.month >= 1 && d.month <= 12 && d.day >= 1 && d.day <= 31
}

// timeNext reports whether a time of day comes next.
func (d *dateReader) timeNext() bool {
	n := 0
	for n < len(d.text) && d.text[n] >= '0' && d.text[n] <= '9' {
		n++
	}
	return n > 0 && n < 3 && n < len(d.text) && d.text[n] == ':'
}

// clock reads hour:minute[:second[.fraction]].
func (d *dateReader) clock() bool {
	if !d.timeNext() {
		return true
	}
	parts := []*int{&d.hour, &d.minute, &d.second}
	for i, part := range parts {
		n, ok := d.number()
		if !ok {
			return false
		}
		*part = n
		rest, colon := strings.CutPrefix(d.text, ":")
		if !colon || i == len(parts)-1 {
			break
		}
		d.text = rest
	}
	if rest, point := strings.CutPrefix(d.text, "."); point {
		d.text = strings.TrimLeft(rest, "0123456789")
	}
	return d.hour < 24 && d.minute < 60 && d.second < 60
}

// offset reads Z, UTC, GMT, a sign with hours and minutes, or both.
func (d *dateReader) offset() bool {
	d.text = strings.TrimSpace(d.text)
	for _, name := range []string{"UTC", "GMT", "Z"} {
		if rest, ok := strings.CutPrefix(d.text, name); ok {
			d.text = rest
			break
		}
	}
	if d.text == "" {
		return true
	}
	sign := map[byte]int{'+': 1, '-': -1}[d.text[0]]
	if sign == 0 {
		return false
	}
	d.text = d.text[1:]
	digits := len(d.text)
	hours, ok := d.number()
	minutes := 0
	if rest, colon := strings.CutPrefix(d.text, ":"); ok && colon {
		d.text = rest
		minutes, ok = d.number()
	} else if digits-len(d.text) > 2 {
		hours, minutes = hours/100, hours%100
	}
	d.zone = sign * (hours*3600 + minutes*60)
	return ok && d.text == "" && hours <= 14 && minutes < 60
}

func (d *dateReader) number() (int, bool) {
	n := 0
	for n < len(d.text) && d.text[n] >= '0' && d.text[n] <= '9' {
		n++
	}
	v, err := strconv.Atoi(d.text[:n])
	d.text = d.text[n:]
	return v, err == nil
}

func (d *dateReader) letters() string {
	n := 0
	for n < len(d.text) && (d.text[n]|0x20 >= 'a' && d.text[n]|0x20 <= 'z') {
		n++
	}
	word := d.text[:n]
	d.text = d.text[n:]
	return word
}

func (d *dateReader) separators() {
	d.text = strings.TrimLeft(d.text, " ,/.")
	if d.timeNext() {
		return
	}
	d.text = strings.TrimLeft(d.text, "-T")
}

// monthOf is a month's number by its first three letters, or 0.
func monthOf(word string) int {
	if len(word) < 3 {
		return 0
	}
	for m := time.January; m <= time.December; m++ {
		if strings.EqualFold(m.String()[:3], word[:3]) {
			return int(m)
		}
	}
	return 0
}

func weekday(word string) bool {
	if len(word) < 3 {
		return false
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(day.String()[:3], word[:3]) {
			return true
		}
	}
	return false
}
