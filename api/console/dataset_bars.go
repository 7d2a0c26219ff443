package console

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
	"millrace/jobs/backtest"
)

// mostPauses is how many times without a bar the page of a dataset lists.
const mostPauses = 10

// datasetBars is what the page of a dataset shows of its bars.
type datasetBars struct {
	Price    chart.Plot
	Weekdays []weekdayRow
	Longest  []backtest.Pause
	Intraday bool // bars are shorter than a day, so that they have a time of day
}

type weekdayRow struct {
	Day         time.Weekday
	Dates, Bars int
	First, Last string // as in 14:30
}

// barsOf reads the bars of a version for its page.
func (p *Pages) barsOf(c echo.Context, v *view, d *types.Dataset) (*datasetBars, error) {
	id, err := uuid.Parse(d.DatasetID)
	if err != nil {
		return nil, notFound()
	}
	bars, err := p.opts.Reads.Bars(c.Request().Context(), v.Workspace.ID, id)
	if err != nil {
		return nil, err
	}
	survey := bars.Survey(mostPauses)
	shown := &datasetBars{Price: priceOf(d, bars).Part(0, 0), Longest: survey.Longest, Intraday: backtest.Timeframe(d.Timeframe).Micros() < int64(24*time.Hour/time.Microsecond)}
	for _, w := range survey.Weekdays {
		shown.Weekdays = append(shown.Weekdays, weekdayRow{w.Day, w.Dates, w.Bars, clock(w.First), clock(w.Last)})
	}
	return shown, nil
}

// priceOf is the close of every bar, on a logarithmic scale where prices allow one.
func priceOf(d *types.Dataset, bars *backtest.Bars) chart.Source {
	s := chart.Source{Micros: bars.Time, Plot: chart.Plot{ID: "price", Title: "Close of " + d.FullName, Log: true, Height: 280,
		Lines: []chart.PlotLine{{Name: "close", Class: "s1", Values: bars.Close}}}}
	for _, price := range bars.Close {
		s.Log = s.Log && price > 0
	}
	return linked(s, "/admin/datasets/"+d.DatasetID, "")
}

// clock is a time of day, as in 14:30.
func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

// DatasetPlot handles GET /admin/datasets/:id/plot: a part of the chart of the closes, or all of them as CSV.
func (p *Pages) DatasetPlot(c echo.Context) error {
	v, err := p.page(c, "Datasets", "Datasets")
	if err != nil {
		return err
	}
	if v.Workspace == nil || c.QueryParam("chart") != "price" {
		return notFound()
	}
	var d types.Dataset
	if err := p.get(c, v, "/datasets/"+c.Param("id"), nil, &d); err != nil {
		return err
	}
	id, err := uuid.Parse(d.DatasetID)
	if err != nil {
		return notFound()
	}
	bars, err := p.opts.Reads.Bars(c.Request().Context(), v.Workspace.ID, id)
	if err != nil {
		return err
	}
	return sendPlot(c, priceOf(&d, bars), "/admin/datasets/"+d.DatasetID, "")
}
