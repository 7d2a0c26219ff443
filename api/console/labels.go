package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// labelPanel is the name, note and tags of a tune, walk-forward or dataset, with whether they may be changed.
type labelPanel struct {
	types.Label
	Back string
	May  bool
}

// labelOf reads the label of one; its page is shown without one when that fails.
func (p *Pages) labelOf(c echo.Context, v *view, kind, id string) *labelPanel {
	panel := &labelPanel{May: v.May("member")}
	if err := p.get(c, v, labelPath(kind, id), nil, &panel.Label); err != nil {
		return nil // a fold has none: its walk-forward has
	}
	return panel
}

// labelPath is where the API has the label of one.
func labelPath(kind, id string) string {
	at := map[string]string{"tune": "/backtests/tunes/", "wfo": "/backtests/wfo/"}[kind]
	if at == "" {
		at = "/datasets/"
	}
	return at + url.PathEscape(id) + "/label"
}

// labelsOf maps ids to the labels of those that have one.
func (p *Pages) labelsOf(c echo.Context, v *view, ids []string) (map[string]types.Label, error) {
	byID := map[string]types.Label{}
	if len(ids) == 0 {
		return byID, nil
	}
	var found types.List[types.Label]
	if err := p.get(c, v, "/labels", url.Values{"ids": {strings.Join(ids, ",")}, "limit": {"500"}}, &found); err != nil {
		return nil, err
	}
	for _, l := range found.Items {
		byID[l.ID] = l
	}
	return byID, nil
}

// PutLabel handles POST /admin/labels/:kind/:id.
func (p *Pages) PutLabel(c echo.Context) error {
	v, err := p.page(c, "", "Name, note and tags")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	body := types.LabelRequest{Name: c.FormValue("name"), Note: c.FormValue("note")}
	for tag := range strings.SplitSeq(c.FormValue("tags"), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			body.Tags = append(body.Tags, tag)
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	at := labelPath(c.Param("kind"), c.Param("id"))
	if _, err := p.call(c, v, Request{Method: http.MethodPut, Path: at, Body: strings.NewReader(string(raw))}); err != nil {
		return err
	}
	back := map[string]string{"tune": "/admin/tunes/", "wfo": "/admin/wfo/"}[c.Param("kind")]
	if back == "" {
		return c.Redirect(http.StatusSeeOther, "/admin/datasets?of="+url.QueryEscape(c.Param("id")))
	}
	return c.Redirect(http.StatusSeeOther, back+url.PathEscape(c.Param("id"))+"#h-label")
}

// Search handles GET /admin/search: tunes, walk-forwards and datasets by what people call them.
func (p *Pages) Search(c echo.Context) error {
	v, err := p.page(c, "Search", "Search")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "search", err)
	}
	query := pageQuery(c, "q", "kind", "tag")
	query.Set("limit", "100")
	var found types.List[types.Label]
	if err := p.get(c, v, "/labels", query, &found); err != nil {
		return err
	}
	v.Data = struct {
		Found        []types.Label
		Q, Kind, Tag string
		Kinds        []choice
	}{found.Items, query.Get("q"), query.Get("kind"), query.Get("tag"), []choice{{"tune", "tunes"}, {"wfo", "walk-forwards"}, {"dataset", "datasets"}}}
	return p.render(c, http.StatusOK, "search", v)
}

// labelHref leads to what a label is of.
func labelHref(l types.Label) string {
	switch l.Kind {
	case "tune":
		return "/admin/tunes/" + l.ID
	case "wfo":
		return "/admin/wfo/" + l.ID
	}
	return "/admin/datasets?of=" + l.ID
}
