package console

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// Rows that the table of trials shows at once, and that a CSV of chosen trials has at most: that of all
// trials is the API's, which streams them.
const (
	trialsAPage = 50
	mostChosen  = 100_000
)

// trialColumn is a column of the table of trials.
type trialColumn struct {
	Name, Label string
	What        string // the definition of its figure
	Shown       bool
	OnlySplit   bool
	Order       string // the address that sorts by it
	Sorted      string // "ascending", "descending" or ""
}

// trialColumns are all columns of figures; parameters come besides.
func trialColumns() []trialColumn {
	return []trialColumn{
		{Name: "score", Label: "Score", What: "score", Shown: true}, {Name: "score_is", Label: "In sample", What: "score", OnlySplit: true, Shown: true},
		{Name: "score_oos", Label: "Out of sample", What: "score", OnlySplit: true, Shown: true}, {Name: "overfit_gap", Label: "Gap", What: "gap", OnlySplit: true, Shown: true},
		{Name: "return_pct_is", Label: "Return in sample", What: "return"}, {Name: "return_pct_oos", Label: "Return out of sample", What: "return", OnlySplit: true, Shown: true},
		{Name: "max_drawdown_pct_is", Label: "Drawdown in sample", What: "drawdown"}, {Name: "max_drawdown_pct_oos", Label: "Drawdown out of sample", What: "drawdown", OnlySplit: true, Shown: true},
		{Name: "trades_is", Label: "Trades in sample", What: "trades"}, {Name: "trades_oos", Label: "Trades out of sample", What: "trades", OnlySplit: true, Shown: true},
	}
}

// cellOf is the text of a trial's figure.
func cellOf(t types.Trial, column string) string {
	switch column {
	case "score":
		return number(t.Score)
	case "score_is":
		return number(t.ScoreIS)
	case "score_oos":
		return number(t.ScoreOOS)
	case "overfit_gap":
		return signed(t.OverfitGap)
	case "return_pct_is":
		return percent(t.ReturnPctIS)
	case "return_pct_oos":
		return percent(t.ReturnPctOOS)
	case "max_drawdown_pct_is":
		return percent(t.MaxDrawdownIS)
	case "max_drawdown_pct_oos":
		return percent(t.MaxDrawdownOOS)
	case "trades_is":
		return number(t.TradesIS)
	case "trades_oos":
		return number(t.TradesOOS)
	}
	if v, ok := t.Params[column]; ok {
		return plain(v)
	}
	return ""
}

// trialTable is the table of trials: what is chosen of them, and how to choose otherwise.
type trialTable struct {
	Where, Order string
	Status       string
	Columns      []trialColumn
	Statuses     []string
	Fault        string
	Matched      int
	CSV          string
	Hidden       url.Values // what the form passes on
}

// Plain are the columns that are shown.
func (t trialTable) Plain() []trialColumn {
	return slices.DeleteFunc(slices.Clone(t.Columns), func(c trialColumn) bool { return !c.Shown })
}

// chooseTrials reads which trials the address chooses, of a running tune too, and lays their table out.
func (d *tuneData) chooseTrials(c echo.Context, stored *StoredTune) sweep.Choice {
	query := c.QueryParams()
	t := &d.Table
	t.Where, t.Order, t.Status = strings.TrimSpace(query.Get("where")), query.Get("order"), query.Get("status")
	t.Statuses = []string{"completed", "skipped", "failed"}
	if !slices.Contains(t.Statuses, t.Status) {
		t.Status = ""
	}
	if t.Order == "" && !query.Has("order") {
		t.Order = "-score"
		if !query.Has("status") && !query.Has("where") && (d.Winner != nil || !d.Tune.Ended()) {
			t.Status = "completed" // the best first, of those that met the limits
		}
	}
	from, err := strconv.Atoi(query.Get("from"))
	if err != nil || from < 0 || from > sweep.MaxTrials {
		from = 0
	}
	choice := sweep.Choice{Where: t.Where, Order: t.Order, Status: sweep.Status(t.Status), From: from, Limit: trialsAPage}
	if _, fault := sweep.NewChooser(stored.Spec, choice); fault != nil {
		t.Fault = fault.Field + " " + fault.Message
		choice = sweep.Choice{Limit: trialsAPage}
	}
	if d.TrialsNote = "No trial has ended yet."; d.Tune.Ended() {
		d.TrialsNote = "It ended before any of its trials."
	}
	if t.Where != "" || t.Status != "" {
		d.TrialsNote = "No trial matches."
	}
	if d.Tune.TrialsDroppedAt != nil {
		d.TrialsNote = "The trials were dropped, as those of ended tunes are kept for a time only."
	}
	t.layOut(query, d.Axes, d.Split)
	d.keep = kept(query, "x", "y", "of", "where", "status", "order", "col")
	csv := kept(query, "where", "status", "order", "col")
	t.CSV = "/admin/tunes/" + d.Tune.TuneID + "/trials.csv?" + csv.Encode()
	return choice
}

// page is where the table begins and continues.
func (d *tuneData) page(from int) {
	keep := d.keep
	d.Pager.Here = from > 0
	d.Pager.First = "?" + keep.Encode() + "#h-trials"
	if next := from + trialsAPage; next < d.Table.Matched {
		keep.Set("from", strconv.Itoa(next))
		d.Pager.Next = "?" + keep.Encode() + "#h-trials"
	}
}

// layOut makes the columns: those that the address names, or the usual ones, and how each sorts.
func (t *trialTable) layOut(query url.Values, params []string, split bool) {
	chosen := query["col"]
	for _, name := range params {
		t.Columns = append(t.Columns, trialColumn{Name: name, Label: name, What: "parameter", Shown: len(params) <= 6})
	}
	for _, col := range trialColumns() {
		if col.OnlySplit && !split {
			continue
		}
		if !split {
			col.Label, col.Shown = strings.TrimSuffix(col.Label, " in sample"), true
		}
		t.Columns = append(t.Columns, col)
	}
	keep := kept(query, "x", "y", "of", "where", "status", "col")
	for i := range t.Columns {
		col := &t.Columns[i]
		if len(chosen) > 0 {
			col.Shown = slices.Contains(chosen, col.Name)
		}
		next := "-" + col.Name
		switch t.Order {
		case col.Name:
			col.Sorted = "ascending"
		case next:
			col.Sorted, next = "descending", col.Name
		}
		keep.Set("order", next)
		col.Order = "?" + keep.Encode() + "#h-trials"
	}
	t.Hidden = kept(query, "x", "y", "of", "order")
}

// kept are the named members of a query that have a value.
func kept(query url.Values, names ...string) url.Values {
	all := url.Values{}
	for _, name := range names {
		for _, value := range query[name] {
			if value != "" || name == "order" {
				all.Add(name, value)
			}
		}
	}
	return all
}

// asTrial is a trial as the API gives it.
func asTrial(t sweep.Trial) types.Trial {
	return types.Trial{
		Index: t.Index, Status: types.TrialStatus(t.Status), Params: t.Params, Score: t.Score, ScoreIS: t.ScoreIS, ScoreOOS: t.ScoreOOS,
		OverfitGap: t.OverfitGap, ReturnPctIS: t.ReturnPctIS, ReturnPctOOS: t.ReturnPctOOS, MaxDrawdownIS: t.MaxDrawdownIS,
		MaxDrawdownOOS: t.MaxDrawdownOOS, TradesIS: t.TradesIS, TradesOOS: t.TradesOOS, Reason: t.Reason, Pruned: (*types.PrunedAt)(t.Pruned),
	}
}

// TrialsCSV handles GET /admin/tunes/:id/trials.csv: the chosen trials in the chosen order, with the chosen columns.
func (p *Pages) TrialsCSV(c echo.Context) error {
	v, err := p.page(c, "Tunes", "Tune")
	if err != nil {
		return err
	}
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || v.Workspace == nil {
		return notFound()
	}
	ctx, query := c.Request().Context(), c.QueryParams()
	stored, err := p.opts.Reads.StoredTune(ctx, v.Workspace.ID, id)
	if err != nil {
		return err
	}
	chooser, fault := sweep.NewChooser(stored.Spec, sweep.Choice{
		Where: query.Get("where"), Order: query.Get("order"), Status: sweep.Status(query.Get("status")), Limit: mostChosen,
	})
	if fault != nil {
		return &Problem{Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest, Detail: fault.Field + " " + fault.Message + "."}
	}
	if err := p.opts.Reads.EachShard(ctx, stored, chooser.Add); err != nil {
		return err
	}
	columns := query["col"]
	if len(columns) == 0 {
		columns = slices.Concat(sortedNames(stored.Spec), sweep.FigureNames()[1:])
	}
	c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="trials.csv"`)
	c.Response().WriteHeader(http.StatusOK)
	out := csv.NewWriter(c.Response())
	if err := out.Write(slices.Concat([]string{"trial", "status"}, columns)); err != nil {
		return err
	}
	for _, t := range chooser.Trials() {
		row := []string{strconv.Itoa(t.Index), string(t.Status)}
		for _, column := range columns {
			row = append(row, exactOf(t, column))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// exactOf is a trial's figure or parameter with all of its digits; "" when it is undefined.
func exactOf(t sweep.Trial, column string) string {
	figures := map[string]*float64{
		"score": t.Score, "score_is": t.ScoreIS, "score_oos": t.ScoreOOS, "overfit_gap": t.OverfitGap, "return_pct_is": t.ReturnPctIS,
		"return_pct_oos": t.ReturnPctOOS, "max_drawdown_pct_is": t.MaxDrawdownIS, "max_drawdown_pct_oos": t.MaxDrawdownOOS,
	}
	if v, ok := figures[column]; ok {
		if v == nil {
			return ""
		}
		return plain(*v)
	}
	switch {
	case column == "trades_is":
		return strconv.Itoa(t.TradesIS)
	case column == "trades_oos" && t.TradesOOS != nil:
		return strconv.Itoa(*t.TradesOOS)
	}
	if v, ok := t.Params[column]; ok {
		return plain(v)
	}
	return ""
}

// sortedNames are the parameters that a tune searches.
func sortedNames(spec sweep.Spec) []string {
	names := make([]string, 0, len(spec.ParamSpace))
	for name := range spec.ParamSpace {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
