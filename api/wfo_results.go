package api

import (
	"github.com/labstack/echo/v4"

	"millrace/api/types"
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

// getWFOEquity handles GET /backtests/wfo/:id/equity: the stitched out-of-sample curve, whole.
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
	points, err := s.wfoCurve(ctx, wfo, 0)
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
