package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store/walkforward"
)

// listWFOCandidates handles GET /backtests/wfo/:id/candidates: best first.
func (s *Server) listWFOCandidates(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	after, err := trialCursor(c)
	if err != nil {
		return err
	}
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	wfo, err := s.store.WalkForward.Get(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	entries, err := s.store.WalkForward.Candidates(ctx, workspaceOf(c), id, after, limit+1)
	if err != nil {
		return err
	}
	page := types.List[types.Stored[types.Candidate]]{Items: []types.Stored[types.Candidate]{}}
	for _, entry := range entries[:min(limit, len(entries))] {
		page.Items = append(page.Items, types.NewStored[types.Candidate](entry))
	}
	if len(entries) > limit {
		page.NextCursor = next(after + limit)
	}
	if format == formatJSON {
		return ok(c, page)
	}
	linkNext(c, page.NextCursor)
	candidates, err := candidatesTable(wfo.Spec.ParamNames(), page.Items)
	if err != nil {
		return err
	}
	return s.writeTable(c, format, candidates)
}

// wfoCurve reads the stitched curve, thinned evenly to at most so many points of which the last is
// the last; 0 is all. Of a walk-forward over several datasets it is that of one by its place, or with -1 that
// of all together.
func (s *Server) wfoCurve(ctx context.Context, wfo *walkforward.Run, dataset, points int) ([]types.Equity, error) {
	views := []types.Equity{}
	curve, err := s.store.WalkForward.Curve(ctx, wfo.WorkspaceID, wfo.ID)
	if err != nil || len(curve.Bars) == 0 {
		return views, err
	}
	if dataset < 0 && len(curve.Parts) > 0 {
		for _, i := range thinned(len(curve.At), points) {
			views = append(views, types.Equity{Bar: i, Time: time.UnixMicro(curve.At[i]).UTC(), Equity: curve.Together[i]})
		}
		return views, nil
	}
	dataset = max(dataset, 0)
	bars, _, err := s.store.Market.Bars(ctx, wfo.WorkspaceID, wfo.DatasetIDs()[dataset])
	if err != nil {
		return nil, err
	}
	curve = curve.Of(dataset)
	for _, i := range thinned(len(curve.Bars), points) {
		bar := int(curve.Bars[i])
		views = append(views, types.Equity{Bar: bar, Time: time.UnixMicro(bars.Time[bar]).UTC(), Equity: curve.Equity[i]})
	}
	return views, nil
}

// thinned are the places of at most so many of n points, evenly, of which the last is the last; 0 is all.
func thinned(n, points int) []int {
	if points == 0 || points > n {
		points = n
	}
	places := make([]int, points)
	for i := range places {
		places[i] = (i+1)*n/points - 1
	}
	return places
}

// getWFOEquity handles GET /backtests/wfo/:id/equity: the stitched out-of-sample curve, whole; of several
// datasets that of all together, or of one.
func (s *Server) getWFOEquity(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	wfo, err := s.store.WalkForward.Get(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	dataset := -1
	if name := c.QueryParam("dataset"); name != "" {
		if dataset = slices.Index(wfo.Datasets(), name); dataset < 0 {
			return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{
				Field: "dataset", Message: fmt.Sprintf("%q is not a dataset of this walk-forward", name), Limit: wfo.Datasets(),
			})
		}
	}
	points, err := s.wfoCurve(ctx, wfo, dataset, 0)
	if err != nil {
		return err
	}
	if format != formatJSON {
		return s.writeTable(c, format, equityTable("equity", points))
	}
	return ok(c, types.List[types.Equity]{Items: points})
}

// optional is a figure for CSV, empty when it is undefined.
func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return decimal(*v)
}

// linkNext names the next page of a list in CSV, as it has no place for a cursor (RFC 8288).
func linkNext(c echo.Context, cursor *string) {
	if cursor == nil {
		return
	}
	query := c.QueryParams()
	query.Set("cursor", *cursor)
	if format, err := wantedFormat(c); err == nil {
		query.Set("format", string(format))
	}
	c.Response().Header().Set("Link", "<"+c.Request().URL.Path+"?"+query.Encode()+`>; rel="next"`)
}
