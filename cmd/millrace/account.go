package main

import (
	"strconv"

	"millrace/api/types"
)

// accountFlags are the account that trials trade with. What is not stated is the default, or a script's own.
type accountFlags struct {
	Cash       *float64 `placeholder:"10000" api:"account.cash" help:"Starting equity, in the quote currency."`
	Commission string   `placeholder:"0.002" api:"account.commission" help:"Commission of each side: a fraction, or a preset such as futures, stocks or crypto_taker."`
	Slippage   *float64 `placeholder:"0" api:"account.slippage" help:"Fraction of the price, against the trader on every market fill."`
	Size       *float64 `placeholder:"0.9999" api:"account.size" help:"Up to 1 a fraction of the equity, above 1 a number of units."`
	WholeUnits *bool    `negatable:"" api:"account.whole_units" help:"Round sizes down to whole units (the default), or do not."`
	Exclusive  *bool    `negatable:"" api:"account.exclusive" help:"Close the open position before an opposite entry (the default), or do not."`
}

func (f *accountFlags) account() types.AccountSpec {
	spec := types.AccountSpec{Cash: f.Cash, Slippage: f.Slippage, Size: f.Size, WholeUnits: f.WholeUnits, Exclusive: f.Exclusive}
	if f.Commission != "" {
		spec.Commission = &types.Commission{Name: types.CommissionName(f.Commission)}
		if fraction, err := strconv.ParseFloat(f.Commission, 64); err == nil {
			spec.Commission = &types.Commission{Fraction: fraction}
		}
	}
	return spec
}

// stopFlags are protective exits; without any there are none.
type stopFlags struct {
	Stop      float64 `placeholder:"PCT" api:"stops.stop_pct" help:"Stop, in percent of the entry price."`
	Target    float64 `placeholder:"PCT" api:"stops.target_pct" help:"Target, in percent of the entry price."`
	Trail     float64 `placeholder:"PCT" api:"stops.trail_pct" help:"Trailing stop, in percent of the best price since entry."`
	StopATR   float64 `name:"stop-atr" placeholder:"N" api:"stops.stop_atr" help:"Stop, in average true ranges."`
	TargetATR float64 `name:"target-atr" placeholder:"N" api:"stops.target_atr" help:"Target, in average true ranges."`
	TrailATR  float64 `name:"trail-atr" placeholder:"N" api:"stops.trail_atr" help:"Trailing stop, in average true ranges."`
	ATRPeriod int     `name:"atr-period" placeholder:"14" api:"stops.atr_period" help:"Bars of the average true range."`
	Policy    string  `placeholder:"worst" api:"intrabar_policy" help:"Which of stop and target fills when one bar touches both: worst, best, ohlc_path or random."`
}

// stops are nil without any.
func (f *stopFlags) stops() *types.Stops {
	s := types.Stops{
		StopPct: f.Stop, TargetPct: f.Target, TrailPct: f.Trail, StopATR: f.StopATR, TargetATR: f.TargetATR, TrailATR: f.TrailATR, ATRPeriod: f.ATRPeriod,
	}
	if s == (types.Stops{}) {
		return nil
	}
	return &s
}
