package ir

import (
	"fmt"
	"math"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// declarationOrder are the positional arguments of strategy().
var declarationOrder = []string{"title", "shorttitle", "overlay", "format", "precision", "scale", "pyramiding", "calc_on_order_fills",
	"calc_on_every_tick", "max_bars_back", "backtest_fill_limits_assumption", "default_qty_type", "default_qty_value", "initial_capital",
	"currency", "slippage", "commission_type", "commission_value", "process_orders_on_close", "close_entries_rule", "margin_long", "margin_short"}

// strategy reads the declaration.
func (l *lowerer) strategy(x *syntax.Call) value {
	if l.declared {
		l.errorAt(x.Pos, "P302", "the script is declared twice", "keep one strategy() call")
	}
	l.declared = true
	for i, a := range x.Args {
		name := a.Name
		if name == "" && i < len(declarationOrder) {
			name = declarationOrder[i]
		}
		v := l.scalar(a.Value, name)
		l.setting(a, name, v.slot())
	}
	return l.void()
}

// setting takes one argument of the declaration.
func (l *lowerer) setting(a syntax.Arg, name string, slot Slot) {
	s := &l.p.Settings
	number, isNumber := l.constNumber(slot)
	text, isText := l.constText(slot)
	on := isNumber && True(number)
	s.Given[name] = true
	need := func(ok bool, what string) bool {
		if !ok {
			l.errorAt(a.Pos, "P208", fmt.Sprintf("%s of strategy() wants %s that is fixed", name, what), "write the value itself")
		}
		return ok
	}
	amount := func(to *float64) {
		if need(isNumber, "a number") && number == number {
			*to = number
		}
	}
	whole := func(to *int) {
		if need(isNumber, "a whole number") && number == number {
			*to = int(min(max(number, 0), 1e6))
		}
	}
	switch name {
	case "title":
		s.Title = text
	case "overlay":
		s.Overlay = on
	case "pyramiding":
		whole(&s.Pyramiding)
	case "calc_on_order_fills":
		if s.OnOrderFills = on; on {
			l.diags.Add(a.Pos, syntax.Warning, "P907", "calc_on_order_fills: a calculation inside a bar of history already sees the bar's last prices, as on TradingView", "trust no result that depends on it")
		}
	case "calc_on_every_tick":
		if s.EveryTick = on; on {
			l.note(a.Pos, "P903", "calc_on_every_tick changes nothing: history has one calculation a bar")
		}
	case "backtest_fill_limits_assumption":
		whole(&s.LimitTicks)
	case "default_qty_type":
		if need(isText, "a kind of quantity") {
			s.QtyType = text
		}
	case "default_qty_value":
		amount(&s.Qty)
	case "initial_capital":
		amount(&s.Capital)
	case "currency":
		s.Currency = text
	case "slippage":
		whole(&s.Slippage)
	case "commission_type":
		if need(isText, "a kind of commission") {
			s.CommissionType = text
		}
	case "commission_value":
		amount(&s.Commission)
	case "process_orders_on_close":
		s.ProcessOnClose = on
	case "close_entries_rule":
		s.CloseAny = text == "ANY"
	case "margin_long":
		amount(&s.MarginLong)
	case "margin_short":
		amount(&s.MarginShort)
	case "use_bar_magnifier":
		if s.Magnifier = on; on {
			l.note(a.Pos, "P904", "use_bar_magnifier: the path inside a bar is assumed from its four prices")
		}
	case "fill_orders_on_standard_ohlc":
		if s.StandardOHLC = on; on {
			l.note(a.Pos, "P905", "fill_orders_on_standard_ohlc: fills are always on the dataset's own prices")
		}
	}
}

// orderArguments are what reaches the broker, by call; everything else is for alerts.
var orderArguments = map[string][]string{
	"strategy.entry":                           {"id", "direction", "qty", "limit", "stop", "oca_name", "oca_type", "comment"},
	"strategy.order":                           {"id", "direction", "qty", "limit", "stop", "oca_name", "oca_type", "comment"},
	"strategy.exit":                            {"id", "from_entry", "qty", "qty_percent", "profit", "limit", "loss", "stop", "trail_price", "trail_points", "trail_offset", "oca_name", "comment", "comment_profit", "comment_loss", "comment_trailing"},
	"strategy.close":                           {"id", "comment", "qty", "qty_percent", "immediately"},
	"strategy.close_all":                       {"comment", "immediately"},
	"strategy.cancel":                          {"id"},
	"strategy.cancel_all":                      {},
	"strategy.risk.allow_entry_in":             {"value"},
	"strategy.risk.max_position_size":          {"contracts"},
	"strategy.risk.max_drawdown":               {"value", "type"},
	"strategy.risk.max_intraday_loss":          {"value", "type"},
	"strategy.risk.max_intraday_filled_orders": {"count"},
	"strategy.risk.max_cons_loss_days":         {"count"},
}

// callStrategy lowers orders and reads of the broker's state.
func (l *lowerer) callStrategy(x *syntax.Call, name string, a *arguments) value {
	wanted, isOrder := orderArguments[name]
	if !isOrder {
		slots := make([]Slot, len(a.sig.Params))
		for i := range slots {
			slots[i] = a.slot(i, nil)
		}
		if name == "strategy.convert_to_account" || name == "strategy.convert_to_symbol" {
			return one(types.FloatType, slots[0])
		}
		t := types.Scalar(a.sig.Results[0])
		dst := l.temp(t)
		l.emit(&Inst{Op: OpRead, Dst: []Slot{dst}, Args: slots, Name: name, Pos: x.Pos})
		return one(t, dst)
	}
	slots := make([]Slot, 0, len(wanted))
	for _, want := range wanted {
		for i, p := range a.sig.Params {
			if p.Name != want {
				continue
			}
			if want == "direction" {
				slots = append(slots, l.direction(x, a.vals[i]))
			} else {
				slots = append(slots, a.slot(i, nil))
			}
		}
	}
	for len(slots) < len(wanted) {
		slots = append(slots, l.constant(types.FloatType, math.NaN()))
	}
	order := &Inst{Op: OpOrder, Args: slots, Name: name, Pos: x.Pos}
	for i, p := range a.sig.Params {
		if p.Name == "when" && a.vals[i] != nil {
			cond := a.slot(i, nil)
			l.emit(&Inst{Op: OpIf, Args: []Slot{cond}, Blocks: []Block{{order}, nil}, Pos: x.Pos})
			return l.void()
		}
	}
	l.emit(order)
	return l.void()
}

// direction is 1 for long and −1 for short; before version 5 true is long.
func (l *lowerer) direction(x *syntax.Call, v *value) Slot {
	long, short := l.constant(types.IntType, 1), l.constant(types.IntType, -1)
	if v == nil {
		return long
	}
	if v.typ.Kind == types.Bool || v.typ.IsNumber() {
		return l.op(x.Pos, OpSelect, types.IntType, v.slot(), long, short)
	}
	if v.typ.Kind != types.String && v.typ.Kind != types.NA {
		l.errorAt(x.Pos, "P203", fmt.Sprintf("a direction is strategy.long or strategy.short, not a %s", v.typ), "")
		return long
	}
	isLong := l.op(x.Pos, OpEq, types.BoolType, v.slot(), l.text("long"))
	return l.op(x.Pos, OpSelect, types.IntType, isLong, long, short)
}
