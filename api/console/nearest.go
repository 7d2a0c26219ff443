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

	"millrace/api/types"
)

// mostNearest is how many trials that miss the limits by least a tune without a leaderboard lists.
const mostNearest = 10

// nearest is what a completed tune without a leaderboard shows in its place.
type nearest struct {
	types.NearMiss
	Limits   string
	Admits   string // the limits that admit them, in words
	Key      string // of the tune that the button submits
	Drawdown string // the relaxed limits as fields; "": as before
	Trades   string
}

// findNearest asks what the limits exclude, of a tune that is completed and has no leaderboard.
func (p *Pages) findNearest(c echo.Context, v *view, parts *tuneParts, data *tuneData) error {
	if data.Winner != nil || data.Tune.Status != types.TuneCompleted || data.Tune.TrialsDroppedAt != nil {
		return nil
	}
	n := &nearest{Limits: limitsText(data.Tune.Spec.Gates), Key: "console-" + uuid.NewString()}
	found, ok := recall[*types.NearMiss](p.memory, parts.nearestKey())
	if !ok {
		found = &types.NearMiss{}
		if err := p.get(c, v, "/backtests/tunes/"+data.Tune.TuneID+"/nearest", url.Values{"limit": {strconv.Itoa(mostNearest)}}, found); err != nil {
			return err
		}
		parts.keep(p, parts.nearestKey(), found, 1024*(len(found.Trials)+1))
	}
	n.NearMiss = *found
	var admits []string
	if limit := n.Relaxed.MaxDrawdownPct; limit != nil {
		n.Drawdown = plain(*limit)
		admits = append(admits, fmt.Sprintf("drawdown ≤ %s %%", plain(*limit)))
	}
	if limit := n.Relaxed.MinTrades; limit != nil {
		n.Trades = strconv.Itoa(*limit)
		admits = append(admits, fmt.Sprintf("trades ≥ %d", *limit))
	}
	n.Admits = strings.Join(admits, ", ")
	data.Nearest = n
	return nil
}

// limitsText are the limits of a tune in words.
func limitsText(limits types.GateLimits) string {
	text := "no drawdown limit"
	if limit := limits.MaxDrawdownPct; limit != nil && *limit < 100 {
		text = fmt.Sprintf("drawdown ≤ %s %%", plain(*limit))
	}
	if limits.MinTrades != nil {
		text += fmt.Sprintf(", trades ≥ %d", *limits.MinTrades)
	}
	return text
}

// RelaxTune handles POST /admin/tunes/:id/relax: the same tune once more, with the limits of the form.
func (p *Pages) RelaxTune(c echo.Context) error {
	v, err := p.page(c, "Tunes", "Tune")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	var t tune
	if err := p.get(c, v, "/backtests/tunes/"+url.PathEscape(c.Param("id")), nil, &t); err != nil {
		return err
	}
	body := requestOf(t)
	if limit, err := strconv.ParseFloat(c.FormValue("max_drawdown_pct"), 64); err == nil {
		body.Gates.MaxDrawdownPct = &limit
	}
	if limit, err := strconv.Atoi(c.FormValue("min_trades")); err == nil {
		body.Gates.MinTrades = &limit
	}
	answer, err := p.post(c, v, "/backtests/tune", c.FormValue("key"), body)
	if err != nil {
		return err
	}
	var made tune
	if err := answer.into(&made); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/tunes/"+made.TuneID)
}

// requestOf is the request that submits a tune once more, with all that it was submitted with.
func requestOf(t tune) types.TuneRequest {
	body := types.TuneRequest{Spec: t.Spec}
	body.Script = nil // the server pins it by the strategy's name
	if len(body.Datasets) == 0 {
		body.Dataset = t.Datasets[0]
	}
	body.Datasets = slices.Clone(body.Datasets)
	return body
}
