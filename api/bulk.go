package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/tenants"
)

// sampleBulk is a request in the API's document.
const sampleBulk = `{"kind": "tune", "action": "archive", "filter": {"status": "failed", "older_than": "30d"}, "dry_run": true}`

// changeMany handles POST /bulk. A repeat finds another number than was confirmed, so without a key it changes nothing more;
// with one it continues where the first was lost.
func (s *Server) changeMany(c echo.Context) error {
	var req types.BulkRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	b, err := readBulk(&req)
	if err != nil {
		return err
	}
	ctx, workspace := c.Request().Context(), workspaceOf(c)
	view := types.BulkResult{Kind: req.Kind, Action: req.Action, DryRun: req.DryRun}
	if req.DryRun {
		ids, err := s.store.Lifecycle.Match(ctx, workspace, b)
		if err != nil {
			return bulkProblem(err)
		}
		view.Matched = len(ids)
		for _, id := range ids[:min(len(ids), 20)] {
			view.IDs = append(view.IDs, id.String())
		}
		return ok(c, view)
	}
	if req.Confirm == nil {
		return fieldProblem("confirm", "is required: the number that dry_run answers as matched, so that the filter does not surprise", nil)
	}
	if b.Action == lifecycle.DeleteAll && !principalOf(c).Role.Includes(tenants.RoleAdmin) {
		return problem(http.StatusForbidden, "The key's role is "+string(principalOf(c).Role)+"; deleting by a filter needs admin.")
	}
	b.Confirm, b.Depth = *req.Confirm, s.queueDepth(c)
	resp, err := s.store.Lifecycle.BulkOnce(ctx, sub, b, func(done lifecycle.BulkDone) (store.Response, error) {
		view.Matched, view.Changed = done.Matched, done.Changed
		for _, id := range done.Deletions {
			view.DeletionIDs = append(view.DeletionIDs, id.String())
		}
		body, err := json.Marshal(view)
		return store.Response{Status: http.StatusOK, Body: body}, err
	})
	if err != nil {
		return bulkProblem(err)
	}
	return respond(c, resp)
}

// bulkProblem says why nothing was changed.
func bulkProblem(err error) error {
	var differs *lifecycle.UnconfirmedError
	if errors.As(err, &differs) {
		return problem(http.StatusConflict, "Nothing was changed: the filter finds another number than was confirmed.",
			invalid.FieldError{Field: "confirm", Message: fmt.Sprintf("is %d, and the filter finds %d", differs.Confirmed, differs.Matched), Limit: differs.Matched})
	}
	var many *lifecycle.TooManyError
	if errors.As(err, &many) && many.Limit == lifecycle.MaxBulk {
		return problem(http.StatusConflict, fmt.Sprintf("The filter finds more than %d. Narrow it, by older_than for example, and repeat.", many.Limit))
	}
	return deletionProblem(err)
}

// readBulk checks a request.
func readBulk(req *types.BulkRequest) (lifecycle.Bulk, error) {
	b := lifecycle.Bulk{Kind: lifecycle.Kind(req.Kind), Action: lifecycle.Action(req.Action), Tags: req.Tags, Cascade: req.Cascade}
	if kinds := lifecycle.BulkKinds(); !slices.Contains(kinds, b.Kind) {
		return b, fieldProblem("kind", fmt.Sprintf("%q is not one of the kinds", clipped(req.Kind, 50)), kinds)
	}
	if actions := lifecycle.ActionsOf(b.Kind); !slices.Contains(actions, b.Action) {
		return b, fieldProblem("action", fmt.Sprintf("%q is not an action on a %s", clipped(req.Action, 50), noun(b.Kind)), actions)
	}
	tagging := b.Action == lifecycle.TagAll || b.Action == lifecycle.UntagAll
	label := types.LabelRequest{Tags: req.Tags}
	faults := checkLabel(&label)
	if b.Tags = label.Tags; tagging && len(b.Tags) == 0 {
		faults = append(faults, invalid.FieldError{Field: "tags", Message: "are required: those to give or to take away"})
	}
	filter, more := readFilter(b.Kind, &req.Filter)
	b.Filter = filter
	return b, fieldProblems(append(faults, more...))
}

func readFilter(kind lifecycle.Kind, f *types.BulkFilter) (filter lifecycle.Filter, faults []invalid.FieldError) {
	filter = lifecycle.Filter{Status: f.Status, Strategy: f.Strategy, Tag: f.Tag, Text: f.Q, Archived: f.Archived}
	switch statuses := lifecycle.StatusesOf(kind); {
	case f.Status != "" && statuses == nil:
		faults = append(faults, invalid.FieldError{Field: "filter.status", Message: "does not narrow: a " + noun(kind) + " has no status"})
	case f.Status != "" && !slices.Contains(statuses, f.Status):
		faults = append(faults, invalid.FieldError{
			Field: "filter.status", Message: fmt.Sprintf("%q is not a status of a %s", clipped(f.Status, 50), noun(kind)), Limit: statuses})
	}
	for field, text := range map[string]string{"filter.status": f.Status, "filter.strategy": f.Strategy, "filter.tag": f.Tag, "filter.q": f.Q} {
		if len(text) > 4*maxLabelName {
			faults = append(faults, invalid.FieldError{Field: field, Message: "is too long", Limit: 4 * maxLabelName})
		}
	}
	if f.OlderThan != "" {
		age, err := parseAge(f.OlderThan)
		if err != nil {
			faults = append(faults, invalid.FieldError{Field: "filter.older_than", Message: "must be a time such as 30d or 12h, of at most 100 years"})
		}
		filter.OlderThan = age
	}
	if f.IDs != nil {
		filter.IDs = []uuid.UUID{}
	}
	for i, text := range f.IDs {
		id, err := uuid.Parse(text)
		if err != nil || i >= lifecycle.MaxBulk {
			faults = append(faults, invalid.FieldError{Field: fmt.Sprintf("filter.ids[%d]", i), Message: "is not an id, or beyond the limit", Limit: lifecycle.MaxBulk})
			break
		}
		filter.IDs = append(filter.IDs, id)
	}
	return filter, faults
}

// parseAge reads a time such as 30d or 12h.
func parseAge(text string) (time.Duration, error) {
	const most = 100 * 365 * 24 * time.Hour
	age, err := time.ParseDuration(text)
	if number, ok := strings.CutSuffix(text, "d"); ok {
		var days int
		if days, err = strconv.Atoi(number); days > 36500 {
			err = errors.New("too long")
		}
		age = time.Duration(days) * 24 * time.Hour
	}
	if err != nil || age <= 0 || age > most {
		return 0, fmt.Errorf("%q is not such a time", text)
	}
	return age, nil
}
