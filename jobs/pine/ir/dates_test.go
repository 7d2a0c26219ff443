package ir

import (
	"testing"
	"time"
)

func TestDatesAreReadInTheirUsualSpellings(t *testing.T) {
	day := time.Date(2021, 2, 3, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2021-02-03":                      day,
		"2021-2-3":                        day,
		"2021/02/03":                      day,
		"02/03/2021":                      day,
		"3 Feb 2021":                      day,
		"03 February 2021":                day,
		"Feb 3, 2021":                     day,
		"February 03 2021":                day,
		"3 Febr 2021":                     day,
		"Wed, 03 Feb 2021 00:00:00 +0000": day,
		"03 Feb 2021 00:00 UTC":           day,
		"03 Feb 2021 00:00 GMT":           day,
		"2021-02-03T04:05":                day.Add(4*time.Hour + 5*time.Minute),
		"2021-02-03T04:05:06.789Z":        day.Add(4*time.Hour + 5*time.Minute + 6*time.Second),
		"2021-02-03 04:05:06":             day.Add(4*time.Hour + 5*time.Minute + 6*time.Second),
		"03 Feb 2021 10:00:00 GMT+10":     day,
		"2021-02-02 21:00 GMT-3":          day,
		"03 Feb 2021 05:30 +05:30":        day,
		"03 Feb 2021 05:30 +0530":         day,
		"2021-02-03T05:30:00+05:30":       day,
		"0001-01-01":                      time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
		"9999-12-31T00:00:00":             time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		"01 Jan 2000 00:00":               time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, err := ParseDate(text)
		if err != nil || got != want.UnixMilli() {
			t.Errorf("%q is %v, error %v, want %v", text, time.UnixMilli(got).UTC(), err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2021", "31 Feb 2021", "03 Feb 2021 25:00", "03 Feb 2021 00:00 -3000", "2021-13-01", "3 Feb 2021 x", "1 2 3 4", "99999999999999999999-01-01"} {
		if got, err := ParseDate(text); err == nil {
			t.Errorf("%q is read as %v", text, time.UnixMilli(got).UTC())
		}
	}
}
