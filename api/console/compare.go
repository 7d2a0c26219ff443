package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
)

// mostCompared is how many tunes or trials stand side by side.
const mostCompared = 4

// compared is one column of the comparison: a tune's winner, or one of its trials.
type compared struct {
	tune
	Value  string // what the form calls it: the tune's id, and the trial's number if it is one
	Class  string
	Index  *int // of the trial; nil: the winner
	Params map[string]float64
	IS     *types.Metrics
	OOS    *types.Metrics
	Score  [3]*float64 // in sample, out of sample, and the gap
	Space  []spaceLine
}

// Name is what its column is headed by.
func (t compared) Name() string {
	name := t.StrategyName + " · " + t.tune.Dataset()
	if t.Index != nil {
		name += " · trial " + strconv.Itoa(*t.Index)
	}
	return name
}

// Href leads to the tune or the trial.
func (t compared) Href() string {
	if t.Index != nil {
		return fmt.Sprintf("/admin/tunes/%s/trials/%d", t.TuneID, *t.Index)
	}
	return "/admin/tunes/" + t.TuneID
}

// compareLine is one row of the comparison.
type compareLine struct {
	Name    string
	Cells   []string
	Tones   []string
	Differs bool
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
	var growth []chart.Curve
	for _, value := range c.QueryParams()["tune"] {
		if len(chosen) == mostCompared || slices.ContainsFunc(chosen, func(t compared) bool { return t.Value == value }) {
			continue
		}
		column, curve, err := p.column(c, v, value, fmt.Sprintf("s%d", len(chosen)+1))
		if err != nil {
			return err
		}
		if column == nil {
			continue
		}
		chosen = append(chosen, *column)
		if curve != nil {
			growth = append(growth, *curve)
		}
	}
	var plots []chart.Plot
	if len(growth) > 0 {
		s := chart.Align(growth)
		s.ID, s.Title, s.Height, s.Log = "growth", "Growth of one unit, in sample and out of sample", 280, true
		plots = append(plots, s.Part(0, 0))
	}
	v.Plots = true
	v.Data = struct {
		Choices     []tune
		Chosen      []compared
		Slots       []string
		Plots       []chart.Plot
		Lines, Same []compareLine
	}{choices.Items, chosen, slots(chosen), plots, compareLines(chosen, true), compareLines(chosen, false)}
	return p.render(c, http.StatusOK, "compare", v)
}

// column reads a tune or one of its trials; nil when there is none of that name here.
func (p *Pages) column(c echo.Context, v *view, value, class string) (*compared, *chart.Curve, error) {
	name, number, pinned := strings.Cut(value, ":")
	id, err := uuid.Parse(name)
	if err != nil {
		return nil, nil, nil
	}
	ctx := c.Request().Context()
	column := &compared{Value: value, Class: class}
	if err := p.get(c, v, "/backtests/tunes/"+id.String(), url.Values{"leaderboard": {"1"}}, &column.tune); err != nil {
		if problem, _ := refused(err); problem != nil && problem.Status == http.StatusNotFound {
			return nil, nil, nil // of another workspace
		}
		return nil, nil, err
	}
	column.Space = spaceOf(column.Spec)
	stored, err := p.opts.Reads.StoredTune(ctx, v.Workspace.ID, id)
	if err != nil {
		return nil, nil, err
	}
	if pinned {
		index, err := strconv.Atoi(number)
		if err != nil {
			return nil, nil, nil
		}
		trial, err := p.opts.Reads.Trial(ctx, stored, index)
		if err != nil {
			return nil, nil, err
		}
		column.Index, column.Params, column.Score = &index, trial.Params, [3]*float64{trial.ScoreIS, trial.ScoreOOS, trial.OverfitGap}
	} else if winner := column.best(); winner != nil {
		column.Params, column.Score = winner.Params, [3]*float64{winner.ScoreIS, winner.ScoreOOS, winner.OverfitGap}
	}
	if column.Params == nil {
		return column, nil, nil
	}
	found, err := p.replay(ctx, stored, column.Params, "")
	if err != nil {
		if problem, _ := refused(err); problem != nil {
			return column, nil, nil // its figures stand without a curve
		}
		return nil, nil, err
	}
	if column.IS, err = asMetrics(&found.MetricsIS); err == nil {
		column.OOS, err = asMetrics(found.MetricsOOS)
	}
	curve := &chart.Curve{Name: column.Name() + " · " + shortID(column.TuneID), Class: class, Micros: found.times(found.whole()), Values: make([]float64, len(found.Curve.Equity))}
	for i, e := range found.Curve.Equity {
		curve.Values[i] = e / found.Curve.Start
	}
	return column, curve, err
}

// slots are what each select of the form has chosen; "" is nothing.
func slots(chosen []compared) []string {
	all := make([]string, mostCompared)
	for i, t := range chosen {
		all[i] = t.Value
	}
	return all
}

// compareCookie holds what "Add to compare" has gathered.
const compareCookie = "millrace_compare"

// AddToCompare handles POST /admin/compare/add: one more trial beside those added before.
func (p *Pages) AddToCompare(c echo.Context) error {
	value := c.FormValue("tune")
	var kept []string
	if cookie, err := c.Cookie(compareCookie); err == nil {
		for _, one := range strings.Split(cookie.Value, "+") {
			if id, _, _ := strings.Cut(one, ":"); len(one) < 60 && uuid.Validate(id) == nil && one != value {
				kept = append(kept, one)
			}
		}
	}
	if id, _, _ := strings.Cut(value, ":"); uuid.Validate(id) != nil || len(value) >= 60 {
		return notFound()
	}
	kept = append(kept, value)
	kept = kept[max(len(kept)-mostCompared, 0):]
	c.SetCookie(&http.Cookie{
		Name: compareCookie, Value: strings.Join(kept, "+"), Path: "/admin/compare", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: c.IsTLS(),
	})
	return c.Redirect(http.StatusSeeOther, "/admin/compare?"+url.Values{"tune": kept}.Encode())
}
