package console

import (
	"net/url"

	"github.com/labstack/echo/v4"
)

// Sizes from which on a page is sent first without what is made of so many trials or bars, where that is not in
// memory: it asks for itself once more, whole, and shows all of those parts from that one answer. A script's bar
// takes many times as long as a built-in strategy's.
const (
	lateTrials     = 20_000
	lateBars       = 100_000
	lateScriptBars = 20_000
)

// isLong reports whether running a strategy over so many bars, or reading what it made of them, takes long.
func isLong(strategy string, bars int) bool {
	return bars > lateBars || isScript(strategy) && bars > lateScriptBars
}

// wantsWhole reports whether the page has to come with all of its parts.
func wantsWhole(c echo.Context) bool { return c.QueryParam("whole") != "" }

// Whole is the address of the page with all of its parts.
func (v *view) Whole() string {
	at, err := url.Parse(v.Path)
	if err != nil {
		return v.Path
	}
	query := at.Query()
	query.Set("whole", "true")
	return "?" + query.Encode()
}
