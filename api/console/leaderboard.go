package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// standing is an entry of the workspace's leaderboard with what its page asks of it.
type standing struct{ types.Standing }

// Entry is the trial.
func (s standing) Entry() types.Entry { return s.Standing.Entry.Value }

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
	var found types.List[standing]
	if err := p.get(c, v, "/backtests/leaderboard", query, &found); err != nil {
		return err
	}
	var sets types.List[types.Dataset]
	if err := p.get(c, v, "/datasets", url.Values{"limit": {"500"}}, &sets); err != nil {
		return err
	}
	strategies, err := p.strategies(c, v)
	if err != nil {
		return err
	}
	v.Data = struct {
		Entries                      []standing
		Objective, Strategy, Dataset string
		Objectives                   []sweep.Objective
		Strategies                   []string
		Datasets                     []types.Dataset
		Pager                        pager
	}{
		found.Items, query.Get("objective"), query.Get("strategy"), query.Get("dataset"),
		sweep.Objectives(), namesOf(strategies), sets.Items, newPager(c, query, found.NextCursor),
	}
	return p.render(c, http.StatusOK, "leaderboard", v)
}
