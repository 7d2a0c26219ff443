package console

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// datasetsData is the list and, after an upload, what became of it.
type datasetsData struct {
	Datasets []types.Dataset
	Stored   *types.Dataset
	Of       *types.Dataset         // whose versions are shown
	Bars     *datasetBars           // of its newest version
	Label    *labelPanel            // its
	Versions []types.DatasetVersion // its newest
	Pager    pager
	Selects  bool
	Archived bool
	Appended string // what became of bars that were sent; "": none were
}

// versionsShown is how many versions of a dataset its table shows.
const versionsShown = 20

// Datasets handles GET /admin/datasets.
func (p *Pages) Datasets(c echo.Context) error {
	return p.showDatasets(c, http.StatusOK, nil)
}

func (p *Pages) showDatasets(c echo.Context, status int, problem *Problem) error {
	v, err := p.page(c, "Datasets", "Datasets")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "datasets", err)
	}
	query := pageQuery(c, "archived", "cursor")
	var found types.List[types.Dataset]
	if err := p.get(c, v, "/datasets", query, &found); err != nil {
		return err
	}
	data := datasetsData{Datasets: found.Items, Selects: c.QueryParam("select") != "", Archived: query.Get("archived") != "", Pager: newPager(c, query, found.NextCursor)}
	for i, d := range found.Items {
		if d.DatasetID == c.QueryParam("stored") {
			data.Stored = &found.Items[i]
		}
	}
	data.Appended = appendedText(c.QueryParam("added"))
	if of := cmp.Or(c.QueryParam("of"), c.Param("id")); of != "" {
		var versions types.List[types.DatasetVersion]
		if err := p.get(c, v, "/datasets/"+url.PathEscape(of)+"/versions", url.Values{"limit": {strconv.Itoa(versionsShown)}}, &versions); err != nil {
			return err
		}
		data.Of, data.Versions = &versions.Items[0].Dataset, versions.Items
		data.Label = p.labelOf(c, v, "dataset", data.Of.DatasetID)
		if data.Bars, err = p.barsOf(c, v, data.Of); err != nil {
			return err
		}
		v.Plots = true
	}
	v.Problem, v.Data = problem, data
	return p.render(c, status, "datasets", v)
}

// Upload handles POST /admin/datasets: the form is the API's own.
func (p *Pages) Upload(c echo.Context) error {
	v, err := p.page(c, "Datasets", "Datasets")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "datasets", err)
	}
	answer, err := p.forward(c, v, "/datasets", "")
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showDatasets(c, problem.Status, problem)
	}
	var stored types.Dataset
	if err := answer.into(&stored); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/datasets?stored="+stored.DatasetID)
}
