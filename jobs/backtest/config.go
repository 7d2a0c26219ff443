package backtest

import (
	"fmt"
	"math"

	"millrace/jobs/invalid"
)

// Stops are protective exits. A zero distance is off.
type Stops struct {
	StopPct   float64 `json:"stop_pct"`   // percent of the entry price against the position
	TargetPct float64 `json:"target_pct"` // percent of the entry price in its favour
	TrailPct  float64 `json:"trail_pct"`  // percent of the best price since entry
	StopATR   float64 `json:"stop_atr"`   // average true ranges
	TargetATR float64 `json:"target_atr"`
	TrailATR  float64 `json:"trail_atr"`
	ATRPeriod int     `json:"atr_period"` // bars; 0 means 14
}

func (s *Stops) active() bool {
	return s != nil && (s.StopPct > 0 || s.TargetPct > 0 || s.TrailPct > 0 || s.usesATR())
}

func (s *Stops) usesATR() bool { return s.StopATR > 0 || s.TargetATR > 0 || s.TrailATR > 0 }

func (s *Stops) atrPeriod() int {
	if s.ATRPeriod == 0 {
		return 14
	}
	return s.ATRPeriod
}

// Config is everything about a run but its bars, strategy and parameters.
type Config struct {
	Side     Side
	Account  Account
	Override Override // of Scripted strategies: what of Account the request names
	Stops    *Stops   // nil: none
	Policy   IntrabarPolicy
	Seed     uint64 // of PolicyRandom
	Calendar Calendar
}

// DefaultAccount is the account of a request that names none.
func DefaultAccount() Account {
	return Account{Cash: 10_000, Commission: 0.002, Size: 0.9999, WholeUnits: true, Exclusive: true}
}

// Validate names every setting that is out of its range, by the field names of the API.
func (c Config) Validate() []invalid.FieldError {
	var errs []invalid.FieldError
	oneOf := func(field, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		errs = append(errs, invalid.FieldError{Field: field, Message: fmt.Sprintf("%q is unknown", value), Limit: allowed})
	}
	within := func(field string, value, low, high float64) {
		if !(value >= low && value <= high) {
			errs = append(errs, invalid.FieldError{Field: field, Message: fmt.Sprintf("must be from %v to %v", low, high), Limit: []float64{low, high}})
		}
	}
	oneOf("side", string(c.Side), string(SideLong), string(SideShort), string(SideBoth))
	oneOf("intrabar_policy", string(c.Policy), string(PolicyWorst), string(PolicyBest), string(PolicyOHLCPath), string(PolicyRandom))
	within("account.cash", c.Account.Cash, 1, 1e12)
	within("account.commission", float64(c.Account.Commission), 0, 0.1)
	within("account.slippage", c.Account.Slippage, 0, 0.1)
	if !(c.Account.Size > 0) || c.Account.Size > 1e12 || math.IsNaN(c.Account.Size) {
		errs = append(errs, invalid.FieldError{
			Field: "account.size", Message: "must be a fraction of equity in (0, 1] or a number of units above 1", Limit: 1e12,
		})
	}
	if c.Calendar != CalendarExchange && c.Calendar != CalendarContinuous {
		errs = append(errs, invalid.FieldError{Field: "calendar", Message: "must be 252 or 365", Limit: []int{252, 365}})
	}
	if s := c.Stops; s != nil {
		within("stops.stop_pct", s.StopPct, 0, 99)
		within("stops.target_pct", s.TargetPct, 0, 10_000)
		within("stops.trail_pct", s.TrailPct, 0, 99)
		within("stops.stop_atr", s.StopATR, 0, 100)
		within("stops.target_atr", s.TargetATR, 0, 100)
		within("stops.trail_atr", s.TrailATR, 0, 100)
		within("stops.atr_period", float64(s.ATRPeriod), 0, 1000)
	}
	return errs
}
