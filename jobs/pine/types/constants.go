package types

import (
	"math"
	"strings"
)

// Constant is a built-in name with a fixed value.
type Constant struct {
	Type   *Type
	Number float64
	Text   string
}

var days = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// colors are the named colors as 0xRRGGBB.
var colors = map[string]float64{
	"aqua": 0x00bcd4, "black": 0x363a45, "blue": 0x2962ff, "fuchsia": 0xe040fb, "gray": 0x787b86, "green": 0x4caf50,
	"lime": 0x00e676, "maroon": 0x880e4f, "navy": 0x311b92, "olive": 0x808000, "orange": 0xff9800, "purple": 0x9c27b0,
	"red": 0xf23645, "silver": 0xb2b5be, "teal": 0x089981, "white": 0xffffff, "yellow": 0xfdd835,
}

// textual are prefixes whose names stand for themselves.
var textual = []string{
	"strategy.commission.", "strategy.oca.", "strategy.direction.", "currency.", "order.", "barmerge.", "shape.", "location.",
	"plot.", "size.", "text.", "xloc.", "yloc.", "extend.", "display.", "format.", "position.", "scale.", "adjustment.",
	"alert.", "session.", "line.style_", "label.style_", "hline.style_", "font.", "backadjustment.", "settlement_as_close.",
	"earnings.", "dividends.", "splits.", "alert.freq_",
}

// ConstantOf finds the constant of that name in version 6.
func ConstantOf(name string) (Constant, bool) {
	switch name {
	case "math.pi":
		return Constant{Type: FloatType, Number: math.Pi}, true
	case "math.e":
		return Constant{Type: FloatType, Number: math.E}, true
	case "math.phi":
		return Constant{Type: FloatType, Number: math.Phi}, true
	case "math.rphi":
		return Constant{Type: FloatType, Number: 1 / math.Phi}, true
	case "strategy.long", "strategy.short", "strategy.fixed", "strategy.cash", "strategy.percent_of_equity":
		return Constant{Type: StringType, Text: strings.TrimPrefix(name, "strategy.")}, true
	}
	prefix, rest, _ := strings.Cut(name, ".")
	switch prefix {
	case "color":
		if v, ok := colors[rest]; ok {
			return Constant{Type: ColorType, Number: v}, true
		}
	case "dayofweek":
		for i, day := range days {
			if day == rest {
				return Constant{Type: IntType, Number: float64(i + 1)}, true
			}
		}
	}
	if Variable(name) != nil {
		return Constant{}, false
	}
	for _, p := range textual {
		if rest, ok := strings.CutPrefix(name, p); ok && rest != "" {
			switch p {
			case "strategy.commission.", "strategy.oca.", "strategy.direction.", "currency.", "order.", "session.", "barmerge.":
				return Constant{Type: StringType, Text: rest}, true
			}
			return Constant{Type: StringType, Text: name}, true
		}
	}
	return Constant{}, false
}
