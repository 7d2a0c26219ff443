package api

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
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
	if wantsCSV(c) {
		rows, err := candidateRows(wfo.Spec.ParamNames(), page.Items)
		if err != nil {
			return err
		}
		linkNext(c, page.NextCursor)
		return writeCSV(c, rows)
	}
	return ok(c, page)
}

// candidateRows are the candidates as CSV: a column a parameter, and one a fold.
func candidateRows(names []string, entries []types.Stored[types.Candidate]) ([][]string, error) {
	head := append([]string{"rank"}, names...)
	head = append(head, "eligible", "coverage", "selection_score", "mean_oos", "median_oos", "worst_fold_oos", "stddev_oos")
	rows := [][]string{head}
	for i, entry := range entries {
		var candidate sweep.Candidate
		if err := json.Unmarshal(entry.JSON(), &candidate); err != nil {
			return nil, fmt.Errorf("decode candidate: %w", err)
		}
		if i == 0 {
			for fold := range candidate.FoldScores {
				rows[0] = append(rows[0], "score_"+strconv.Itoa(fold))
			}
		}
		row := []string{strconv.Itoa(candidate.Rank)}
		for _, name := range names {
			row = append(row, decimal(candidate.Params[name]))
		}
		row = append(row, strconv.FormatBool(candidate.Eligible), decimal(candidate.Coverage), decimal(candidate.SelectionScore),
			decimal(candidate.MeanOOS), decimal(candidate.MedianOOS), decimal(candidate.WorstOOS), decimal(candidate.StdDevOOS))
		for _, score := range candidate.FoldScores {
			row = append(row, optional(score))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// getWFOEquity handles GET /backtests/wfo/:id/equity: the stitched out-of-sample curve, whole.
func (s *Server) getWFOEquity(c echo.Context) error {
	id, err := pathID(c)
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
	if wantsCSV(c) {
		rows := [][]string{{"bar", "time", "equity"}}
		for _, p := range points {
			rows = append(rows, []string{strconv.Itoa(p.Bar), p.Time.Format(time.RFC3339Nano), decimal(p.Equity)})
		}
		return writeCSV(c, rows)
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
	query.Set("format", "csv")
	c.Response().Header().Set("Link", "<"+c.Request().URL.Path+"?"+query.Encode()+`>; rel="next"`)
}
