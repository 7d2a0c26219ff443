package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/columns"
	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/jobs/sweep"
	"millrace/store/tuning"
)

// shardsAPage bounds how many shards one page of trials may open; a page that a filter leaves thin
// ends there, and its cursor continues.
const shardsAPage = 16

// listTrials handles GET /backtests/tunes/:id/trials: by index, or with sort=score best first once
// the tune is completed.
func (s *Server) listTrials(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	status := c.QueryParam("status")
	if status != "" && !slices.Contains(trialStatuses(), sweep.Status(status)) {
		return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{
			Field: "status", Message: fmt.Sprintf("%q is not a final status of a trial", status), Limit: trialStatuses(),
		})
	}
	from, err := trialCursor(c)
	if err != nil {
		return err
	}
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	tune, err := s.store.Tuning.Get(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	if whole := c.QueryParam("limit") == "" && c.QueryParam("sort") != "score"; whole && format != formatJSON {
		return s.writeTable(c, format, s.trialsTable(c, tune, from, status))
	}
	var page types.List[types.Trial]
	switch sort := c.QueryParam("sort"); sort {
	case "", "index":
		page, err = s.trialsByIndex(ctx, tune, from, limit, status)
	case "score":
		page, err = s.trialsByScore(ctx, tune, from, limit, status)
	default:
		return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{
			Field: "sort", Message: fmt.Sprintf("%q is not an order", sort), Limit: []string{"index", "score"},
		})
	}
	if err != nil {
		return err
	}
	switch format {
	case formatJSON:
		return ok(c, page)
	case columns.CSV:
		linkNext(c, page.NextCursor)
		return writeCSV(c, append([][]string{trialHead(tune)}, trialRows(tune, page.Items)...))
	}
	linkNext(c, page.NextCursor)
	return s.writeTable(c, format, trialPage(tune, page.Items))
}

// trialStatuses are the final statuses of a trial.
func trialStatuses() []sweep.Status {
	return []sweep.Status{sweep.StatusCompleted, sweep.StatusSkipped, sweep.StatusFailed}
}

func trialCursor(c echo.Context) (int, error) {
	text := c.QueryParam("cursor")
	if text == "" {
		return 0, nil
	}
	parts, err := unpackCursor(text, 1)
	if err != nil {
		return 0, err
	}
	return cursorInt(parts[0], 0)
}

func next(at int) *string {
	cursor := packCursor(strconv.Itoa(at))
	return &cursor
}

// trialsByIndex opens the shards that hold the page and few others, and makes the trials of the page alone: a shard of a large
// tune has many more. The first shard often holds the page, so it is read before the others.
func (s *Server) trialsByIndex(ctx context.Context, tune *tuning.Tune, from, limit int, status string) (types.List[types.Trial], error) {
	page := types.List[types.Trial]{Items: []types.Trial{}}
	at := from
	for _, most := range []int{1, shardsAPage - 1} {
		shards, err := s.store.Tuning.TrialShards(ctx, tune.WorkspaceID, tune.ID, at, most)
		if err != nil {
			return page, err
		}
		for _, sh := range shards {
			cols, err := sweep.OpenColumns(tune.Spec, sh.Shard, sh.Columns)
			if err != nil {
				return page, fmt.Errorf("decode shard %d of tune %s: %w", sh.Shard.Index, tune.ID, err)
			}
			for i := max(0, at-sh.Shard.First); i < cols.Len(); i++ {
				if len(page.Items) == limit {
					page.NextCursor = next(cols.Index(i))
					return page, nil
				}
				at = cols.Index(i) + 1
				if status == "" || status == string(cols.Status(i)) {
					page.Items = append(page.Items, viewTrial(cols.Trial(i)))
				}
			}
		}
		if len(shards) < most {
			return page, nil
		}
	}
	if at < tune.Trials {
		page.NextCursor = next(at)
	}
	return page, nil
}

// trialsByScore reads the ranking, which the collect step makes.
func (s *Server) trialsByScore(ctx context.Context, tune *tuning.Tune, from, limit int, status string) (types.List[types.Trial], error) {
	page := types.List[types.Trial]{Items: []types.Trial{}}
	if tune.Status != tuning.Completed {
		return page, problem(http.StatusConflict, "Trials are ranked once the tune is completed; it is "+string(tune.Status)+".")
	}
	ranked, shards, err := s.store.Tuning.RankedShards(ctx, tune.WorkspaceID, tune.ID, from, limit)
	if err != nil {
		return page, err
	}
	found, err := decodeRanked(tune, ranked, shards)
	if err != nil {
		return page, err
	}
	for _, index := range ranked {
		if trial := found[int(index)]; status == "" || status == string(trial.Status) {
			page.Items = append(page.Items, viewTrial(trial))
		}
	}
	if len(ranked) == limit && from+limit < tune.Trials {
		page.NextCursor = next(from + limit)
	}
	return page, nil
}

func decodeRanked(tune *tuning.Tune, ranked []int32, shards []tuning.TrialShard) (map[int]sweep.Trial, error) {
	indexes := make([]int, len(ranked))
	for i, index := range ranked {
		indexes[i] = int(index)
	}
	slices.Sort(indexes)
	found := make(map[int]sweep.Trial, len(ranked))
	for _, sh := range shards {
		from, _ := slices.BinarySearch(indexes, sh.Shard.First)
		to, _ := slices.BinarySearch(indexes, sh.Shard.First+sh.Shard.Trials)
		trials, err := sweep.DecodeTrials(tune.Spec, sh.Shard, sh.Columns, indexes[from:to])
		if err != nil {
			return nil, fmt.Errorf("decode shard %d of tune %s: %w", sh.Shard.Index, tune.ID, err)
		}
		for _, trial := range trials {
			found[trial.Index] = trial
		}
	}
	return found, nil
}
