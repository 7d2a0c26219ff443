package backtest

import (
	"fmt"

	"millrace/jobs/invalid"
)

// Override says which settings of an account the request names, and so overrides those of a script.
type Override struct{ Cash, Commission, Slippage, Size, WholeUnits, Exclusive bool }

// CheckScripted names the settings that do not go with a strategy that is a script.
func CheckScripted(_ Scripted, cfg Config) []invalid.FieldError {
	var errs []invalid.FieldError
	add := func(field, message string) {
		errs = append(errs, invalid.FieldError{Field: field, Message: message})
	}
	if cfg.Override.Slippage && cfg.Account.Slippage != 0 {
		add("account.slippage", "a script's slippage is in ticks: set slippage in its strategy() call, or 0 here for none")
	}
	if cfg.Override.Exclusive {
		add("account.exclusive", "does not go with a script: its own orders say what an opposite entry closes")
	}
	if cfg.Stops.active() {
		add("stops", "do not go with a script: its exits are its own orders")
	}
	if cfg.Policy != PolicyWorst {
		add("intrabar_policy", "does not go with a script: fills follow the path inside a bar that TradingView assumes")
	}
	return errs
}

// ScriptNotes are what the result of a script should say of itself: the script's own remarks, then what the
// request overrides, then what is inside the bars.
func ScriptNotes(s Scripted, cfg Config, b *Bars) []string {
	_, detailed := b.Detailed()
	notes := append([]string{}, s.Notes(detailed)...)
	return append(append(notes, OverrideNotes(s, cfg)...), DetailNotes(b)...)
}

// OverrideNotes say which of a script's settings a request overrides.
func OverrideNotes(s Scripted, cfg Config) []string {
	var notes []string
	note := func(named bool, format string, args ...any) {
		if named {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	o, a, own := cfg.Override, cfg.Account, s.Account()
	note(o.Cash && a.Cash != own.Cash, "account.cash %v takes the place of the script's initial_capital %v", a.Cash, own.Cash)
	note(o.Commission, "account.commission %v takes the place of the script's commission", float64(a.Commission))
	note(o.Slippage, "account.slippage 0 takes the place of the script's slippage")
	note(o.Size && a.Size <= 1, "account.size %v takes the place of the script's quantity: %v percent of equity", a.Size, 100*a.Size)
	note(o.Size && a.Size > 1, "account.size %v takes the place of the script's quantity: so many units", a.Size)
	note(o.WholeUnits && a.WholeUnits, "account.whole_units rounds the script's quantities down to whole units")
	note(cfg.Side == SideLong || cfg.Side == SideShort, "side %s keeps the script from entering the other way", cfg.Side)
	return notes
}
