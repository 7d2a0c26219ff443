package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/jobs/sweep"
)

// standing is an entry of the workspace's leaderboard as the API answers it.
type standing struct {
	TuneID       string      `json:"tune_id"`
	Datasets     []string    `json:"datasets"`
	StrategyName string      `json:"strategy_name"`
	Score        float64     `json:"score"`
	RankInTune   int         `json:"rank_in_tune"`
	Entry        sweep.Entry `json:"entry"`
}

// Dataset names what the tune ran over.
func (s standing) Dataset() string { return strings.Join(s.Datasets, ", ") }

// Leaderboard handles GET /admin/leaderboard.
func (p *Pages) Leaderboard(c echo.Context) error {
	v, err := p.page(c, "Leaderboard", "Leaderboard")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "leaderboard", err)
	}
	v.Topics = "backtests"
	query := pageQuery(c, "objective", "strategy", "dataset", "cursor")
	if query.Get("objective") == "" {
		query.Set("objective", string(sweep.ObjectiveSharpe))
	}
	var found page[standing]
	if err := p.get(c, v, "/backtests/leaderboard", query, &found); err != nil {
		return err
	}
	var sets page[dataset]
	if err := p.get(c, v, "/datasets", url.Values{"limit": {"500"}}, &sets); err != nil {
		return err
	}
	v.Data = struct {
		Entries                      []standing
		Objective, Strategy, Dataset string
		Objectives                   []sweep.Objective
		Strategies                   []string
		Datasets                     []dataset
		Pager                        pager
	}{
		found.Items, query.Get("objective"), query.Get("strategy"), query.Get("dataset"),
		sweep.Objectives(), strategyNames(), sets.Items, newPager(c, query, found.NextCursor),
	}
	return p.render(c, http.StatusOK, "leaderboard", v)
}
