package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store/labels"
)

// Limits of a label.
const (
	maxLabelName = 200
	maxLabelNote = 10_000
	maxLabelTags = 20
	maxTag       = 50
)

// sampleLabel is a label in the API's document.
const sampleLabel = `{"name": "Baseline", "note": "Before costs were raised.", "tags": ["baseline", "spx"]}`

// labelRoutes are the routes of names, notes and tags.
func (s *Server) labelRoutes() []route {
	routes := []route{{http.MethodGet, "/labels", viewer, s.listLabels, bodyLimit, about{
		summary: "Tunes, walk-forwards and datasets by name, note, tag, strategy, dataset or id, newest first", answer: types.List[types.Label]{},
		params: params(text("q"), oneOf("kind", labels.Kinds()), text("tag"), text("ids"), whole("limit", 50, 1, 500))}}}
	for _, of := range []struct {
		kind       labels.Kind
		path, noun string
	}{{labels.Tune, "/backtests/tunes/:id/label", "tune"}, {labels.WalkForward, "/backtests/wfo/:id/label", "walk-forward"}, {labels.Dataset, "/datasets/:id/label", "dataset"}} {
		routes = append(routes,
			route{http.MethodGet, of.path, viewer, s.getLabel(of.kind), bodyLimit, about{
				summary: "The name, note and tags of a " + of.noun, answer: types.Label{}}},
			route{http.MethodPut, of.path, member, s.putLabel(of.kind), bodyLimit, about{
				summary: "Name, note and tag a " + of.noun, body: types.LabelRequest{}, sample: sampleLabel, answer: types.Label{}}})
	}
	return routes
}

func viewLabel(l labels.Label) types.Label {
	return types.Label{
		Kind: string(l.Kind), ID: l.ID.String(), Name: l.Name, Note: l.Note, Tags: l.Tags, Strategy: l.Strategy, Dataset: l.Dataset, Status: l.Status,
		CreatedAt: l.CreatedAt.UTC(),
	}
}

// labelled is the id of what the path names: of a dataset its name is as good.
func (s *Server) labelled(c echo.Context, kind labels.Kind) (uuid.UUID, error) {
	if kind != labels.Dataset {
		return pathID(c)
	}
	found, err := s.namedDataset(c)
	return found.ID, err
}

// getLabel handles GET of the label of one.
func (s *Server) getLabel(kind labels.Kind) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := s.labelled(c, kind)
		if err != nil {
			return err
		}
		found, err := s.store.Labels.Get(c.Request().Context(), workspaceOf(c), kind, id)
		if err != nil {
			return err
		}
		return ok(c, viewLabel(found))
	}
}

// putLabel handles PUT of the label of one. Repeating it has no further effect, so it needs no key.
func (s *Server) putLabel(kind labels.Kind) echo.HandlerFunc {
	return func(c echo.Context) error {
		var req types.LabelRequest
		if err := bind(c, &req); err != nil {
			return err
		}
		req.Name = strings.TrimSpace(req.Name)
		if err := fieldProblems(checkLabel(&req)); err != nil {
			return err
		}
		id, err := s.labelled(c, kind)
		if err != nil {
			return err
		}
		put, err := s.store.Labels.Put(c.Request().Context(), workspaceOf(c), labels.Label{Kind: kind, ID: id, Name: req.Name, Note: req.Note, Tags: req.Tags})
		if err != nil {
			return err
		}
		return ok(c, viewLabel(put))
	}
}

// checkLabel names what is too long, and leaves each tag once.
func checkLabel(req *types.LabelRequest) []invalid.FieldError {
	var faults []invalid.FieldError
	long := func(field, text string, most int) {
		if n := utf8.RuneCountInString(text); n > most {
			faults = append(faults, invalid.FieldError{Field: field, Message: fmt.Sprintf("is %d characters long, more than %d", n, most), Limit: most})
		}
	}
	long("name", req.Name, maxLabelName)
	long("note", req.Note, maxLabelNote)
	var tags []string
	for i, tag := range req.Tags {
		tag = strings.TrimSpace(tag)
		field := fmt.Sprintf("tags[%d]", i)
		switch {
		case tag == "":
			faults = append(faults, invalid.FieldError{Field: field, Message: "is empty"})
		case strings.Contains(tag, ","):
			faults = append(faults, invalid.FieldError{Field: field, Message: "has a comma, which separates tags"})
		}
		long(field, tag, maxTag)
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if req.Tags = tags; len(tags) > maxLabelTags {
		faults = append(faults, invalid.FieldError{Field: "tags", Message: fmt.Sprintf("are %d, more than %d", len(tags), maxLabelTags), Limit: maxLabelTags})
	}
	return faults
}

// listLabels handles GET /labels.
func (s *Server) listLabels(c echo.Context) error {
	limit, err := queryInt(c, "limit", 50, 1, 500)
	if err != nil {
		return err
	}
	query := labels.Query{Kind: labels.Kind(c.QueryParam("kind")), Tag: c.QueryParam("tag"), Text: c.QueryParam("q")}
	if query.Kind != "" && !slices.Contains(labels.Kinds(), query.Kind) {
		return badQuery("kind", fmt.Sprintf("%q has no labels", query.Kind), labels.Kinds())
	}
	if n := len(query.Text) + len(query.Tag); n > maxLabelName*4 || strings.ContainsRune(query.Text+query.Tag, 0) {
		return badQuery("q", fmt.Sprintf("must have at most %d bytes, and none that is zero", maxLabelName*4), maxLabelName*4)
	}
	if ids := c.QueryParam("ids"); ids != "" {
		query.IDs = []uuid.UUID{}
		for id := range strings.SplitSeq(ids, ",") {
			parsed, err := uuid.Parse(id)
			if err != nil || len(query.IDs) == 500 {
				return badQuery("ids", "must be at most 500 ids, separated by commas", 500)
			}
			query.IDs = append(query.IDs, parsed)
		}
	}
	found, err := s.store.Labels.Find(c.Request().Context(), workspaceOf(c), query, limit)
	if err != nil {
		return err
	}
	views := types.List[types.Label]{Items: make([]types.Label, len(found))}
	for i, l := range found {
		views.Items[i] = viewLabel(l)
	}
	return ok(c, views)
}
