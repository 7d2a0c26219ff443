package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
)

// mostCompared is how many tunes stand side by side.
const mostCompared = 4

// compared is one column of the comparison.
type compared struct {
	tune
	Class  string
	Winner *types.Entry
	Space  []spaceLine
}

// Compare handles GET /admin/compare.
func (p *Pages) Compare(c echo.Context) error {
	v, err := p.page(c, "Compare", "Compare tunes")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "compare", err)
	}
	var choices types.List[tune]
	if err := p.get(c, v, "/backtests/tunes", url.Values{"status": {"completed"}, "limit": {"100"}}, &choices); err != nil {
		return err
	}
	var chosen []compared
	var curves []chart.Series
	for _, id := range c.QueryParams()["tune"] {
		if len(chosen) == mostCompared || slices.ContainsFunc(chosen, func(t compared) bool { return t.TuneID == id }) {
			continue
		}
		parsed, err := uuid.Parse(id)
		if err != nil {
			continue
		}
		column := compared{Class: fmt.Sprintf("s%d", len(chosen)+1)}
		if err := p.get(c, v, "/backtests/tunes/"+parsed.String(), url.Values{"leaderboard": {"1"}}, &column.tune); err != nil {
			if problem, _ := refused(err); problem != nil && problem.Status == http.StatusNotFound {
				continue // of another workspace
			}
			return err
		}
		column.Space = spaceOf(column.Spec)
		if column.Winner = column.best(); column.Winner != nil {
			curve, err := p.growth(c.Request().Context(), v.Workspace.ID, parsed, column.Winner.Params)
			if err != nil {
				return err
			}
			curve.Class = column.Class
			curves = append(curves, curve)
		}
		chosen = append(chosen, column)
	}
	var overlay template.HTML
	if len(curves) > 0 {
		overlay = chart.Lines("Growth of one unit by each tune's winner, in sample and out of sample", 280, curves)
	}
	v.Data = struct {
		Choices []tune
		Chosen  []compared
		Slots   []string
		Overlay template.HTML
	}{choices.Items, chosen, slots(chosen), overlay}
	return p.render(c, http.StatusOK, "compare", v)
}

// slots are what each select of the form has chosen; "" is nothing.
func slots(chosen []compared) []string {
	all := make([]string, mostCompared)
	for i, t := range chosen {
		all[i] = t.TuneID
	}
	return all
}

// growth is what became of one unit under the winner: both parts, one after the other.
func (p *Pages) growth(ctx context.Context, workspace, id uuid.UUID, params map[string]float64) (chart.Series, error) {
	t, err := p.opts.Reads.StoredTune(ctx, workspace, id)
	if err != nil {
		return chart.Series{}, err
	}
	course, bars, err := p.replay(ctx, t, params)
	if err != nil {
		return chart.Series{}, err
	}
	cash := 10_000.0
	if given := t.Spec.Account.Cash; given != nil {
		cash = *given
	}
	line := chart.Series{Time: window(bars, course.IS)}
	last := 1.0
	for _, e := range course.EquityIS {
		line.Values = append(line.Values, e/cash)
		last = e / cash
	}
	line.Time = append(slices.Clone(line.Time), window(bars, course.OOS)...)
	for _, e := range course.EquityOOS {
		line.Values = append(line.Values, last*e/cash)
	}
	return line, nil
}

var errReplay = errors.New("the winner cannot be run again")

// asFault wraps the first fault of a plan that was valid when it was stored.
func asFault(t *StoredTune, fault error) error {
	return fmt.Errorf("tune %s: %w: %w", t.ID, errReplay, fault)
}
