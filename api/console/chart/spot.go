package chart

import (
	"encoding/json"
	"fmt"
	"html"
	"html/template"
)

// Spot is a place of a chart that is read and opened: where it is, what it says, and the number of the
// trial behind it; −1: none.
type Spot struct {
	X, Y  float64
	Text  string
	Trial int
}

// MarshalJSON writes a spot as short as it can be.
func (s Spot) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(s.Text)
	if err != nil {
		return nil, fmt.Errorf("spot: %w", err)
	}
	return fmt.Appendf(nil, "[%s,%s,%s,%d]", num(s.X), num(s.Y), text, s.Trial), nil
}

// Spots puts what can be read of a chart beside it: spots.js shows the nearest to the pointer, or to the
// arrow keys, opens its trial below href, and saves the drawing as an image. Without href nothing is opened.
func Spots(id, label string, svg template.HTML, spots []Spot, href string) template.HTML {
	return spotsOf("spots", id, label, svg, spots, href)
}

func spotsOf(class, id, label string, svg template.HTML, spots []Spot, href string) template.HTML {
	raw, err := json.Marshal(spots)
	if err != nil || len(spots) == 0 {
		return svg
	}
	keys := "Arrow keys read values, Page Down the next one"
	if href != "" {
		class, keys = class+" opens", keys+", Enter opens the trial"
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // the texts are escaped: as HTML, and by encoding/json for a script element
		`<figure class="%s" data-spots id="spots-%s" data-href="%s"><div class="plane" tabindex="0" role="slider" aria-label="%s. %s" aria-valuemin="0" aria-valuemax="%d" aria-valuenow="0" aria-valuetext="no value is read yet">%s</div><div class="plotbar"><div class="readout mono">Point at the chart, or use the arrow keys</div><div class="tools"></div></div><script type="application/json">%s</script></figure>`,
		class, html.EscapeString(id), html.EscapeString(href), html.EscapeString(label), keys, len(spots)-1, svg, raw))
}
