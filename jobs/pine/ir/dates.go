package ir

import (
	"fmt"
	"strings"
	"time"
)

// dateLayouts are the spellings of dates that timestamp takes.
var dateLayouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006-1-2", "2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04 -0700",
	"2 Jan 2006 15:04:05", "2 Jan 2006 15:04", "2 Jan 2006", "Jan 2 2006 15:04:05", "Jan 2 2006 15:04", "Jan 2 2006", "Jan 2, 2006",
	"2 January 2006 15:04 -0700", "2 January 2006 15:04", "2 January 2006", "January 2 2006", "January 2, 2006", "01/02/2006", "01/02/2006 15:04",
	"Mon, 02 Jan 2006 15:04:05 -0700", "2006/01/02", "2006 01 02", "2006/01/02 15:04",
}

// ParseDate is a written date in milliseconds since 1970.
func ParseDate(s string) (int64, error) {
	s = strings.TrimSpace(s)
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a date", s)
}
