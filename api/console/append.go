package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// AppendBars handles POST /admin/datasets/:id/bars: the form is the API's own.
func (p *Pages) AppendBars(c echo.Context) error {
	v, err := p.page(c, "Datasets", "Datasets")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "datasets", err)
	}
	answer, err := p.forward(c, v, "/datasets/"+url.PathEscape(c.Param("id"))+"/bars", "")
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showDatasets(c, problem.Status, problem)
	}
	var made types.ExtendedDataset
	if err := answer.into(&made); err != nil {
		return err
	}
	query := url.Values{"of": {made.Dataset.DatasetID}, "added": {strconv.Itoa(made.AddedBars)}}
	if !made.Made {
		query.Set("added", "none")
	} else if made.Note != "" {
		query.Set("added", "rewritten")
	}
	return c.Redirect(http.StatusSeeOther, "/admin/datasets?"+query.Encode())
}

// appendedText says what became of bars that were appended; "" for a page that nothing was appended before.
func appendedText(added string) string {
	switch n, err := strconv.Atoi(added); {
	case added == "none":
		return "All of these bars are stored already: there is no new version."
	case added == "rewritten":
		return "The bars were replaced: results on earlier versions are stale."
	case err == nil && n > 0:
		return plural(n, "bar") + " appended."
	}
	return ""
}
