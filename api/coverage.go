package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/recommend"
)

// byAdmin is who triages gaps: the admin surface knows no names.
const byAdmin = "admin"

const maxNote = 2000 // characters

func viewGap(r *recommend.MatchRun) types.Gap {
	view := types.Gap{
		RunID: r.ID.String(), WorkspaceID: r.WorkspaceID.String(), Kind: r.Kind, Intent: r.Intent,
		Request: types.NewStored[map[string]any](json.RawMessage(r.Request)),
		Status:  types.RecommendStatus(r.Status), Confidence: r.Confidence, Matches: r.Matches, BestScore: r.Best, ReasonCodes: r.Codes, Weak: r.Weak,
		Priority: r.Priority, CoverageStatus: types.GapStatus(r.CoverageStatus), Resolution: r.Resolution, Seen: r.Seen, LastSeenAt: r.LastSeenAt.UTC(),
		CandidateType: (*types.CandidateType)(r.CandidateType), Note: r.Note, AcknowledgedAt: utc(r.AcknowledgedAt), AcknowledgedBy: r.AcknowledgedBy,
		ResolvedAt: utc(r.ResolvedAt), ResolvedBy: r.ResolvedBy, CreatedAt: r.CreatedAt.UTC(),
	}
	if r.CandidateID != nil {
		id := r.CandidateID.String()
		view.CandidateID = &id
	}
	return view
}

// gapKinds are what can show a gap.
func gapKinds() []string { return []string{"recommend", "query"} }

// listGaps handles GET /admin/coverage/gaps: the most pressing first.
func (s *Server) listGaps(c echo.Context) error {
	filter, err := gapFilter(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 50, 1, 200)
	if err != nil {
		return err
	}
	after, err := gapPlace(c, s.store.Clock().Now())
	if err != nil {
		return err
	}
	gaps, err := s.store.Recommend.Gaps(c.Request().Context(), filter, after, limit+1)
	if err != nil {
		return err
	}
	all := paged(gaps, limit, func(g *recommend.MatchRun) string {
		return packCursor(after.AsOf.UTC().Format(time.RFC3339Nano), decimal(g.Priority), g.ID.String())
	})
	views := types.List[types.Gap]{Items: make([]types.Gap, len(all.Items)), NextCursor: all.NextCursor}
	for i, g := range all.Items {
		views.Items[i] = viewGap(g)
	}
	return ok(c, views)
}

func gapFilter(c echo.Context) (recommend.GapFilter, error) {
	filter := recommend.GapFilter{Status: recommend.GapStatus(c.QueryParam("status")), Kind: c.QueryParam("kind")}
	bad := func(field, message string, limit any) error {
		return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: field, Message: message, Limit: limit})
	}
	if filter.Status != "" && !slices.Contains(recommend.GapStatuses(), filter.Status) {
		return filter, bad("status", fmt.Sprintf("%q is not a status", filter.Status), recommend.GapStatuses())
	}
	if filter.Kind != "" && !slices.Contains(gapKinds(), filter.Kind) {
		return filter, bad("kind", fmt.Sprintf("%q is not a kind", filter.Kind), gapKinds())
	}
	if text := c.QueryParam("workspace_id"); text != "" {
		var err error
		if filter.Workspace, err = uuid.Parse(text); err != nil {
			return filter, bad("workspace_id", "is not an id", nil)
		}
	}
	return filter, nil
}

// gapPlace reads the cursor; without one the list begins now.
func gapPlace(c echo.Context, now time.Time) (recommend.GapKey, error) {
	text := c.QueryParam("cursor")
	if text == "" {
		return recommend.GapKey{AsOf: now}, nil
	}
	parts, err := unpackCursor(text, 3)
	if err != nil {
		return recommend.GapKey{}, err
	}
	asOf, timeErr := time.Parse(time.RFC3339Nano, parts[0])
	priority, numberErr := strconv.ParseFloat(parts[1], 64)
	id, idErr := uuid.Parse(parts[2])
	if errors.Join(timeErr, numberErr, idErr) != nil {
		return recommend.GapKey{}, badCursor()
	}
	return recommend.GapKey{AsOf: asOf, Priority: priority, ID: id}, nil
}

// getGap handles GET /admin/coverage/gaps/:id.
func (s *Server) getGap(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	run, err := s.store.Recommend.MatchRun(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return ok(c, viewGap(run))
}

// acknowledgeGap handles POST /admin/coverage/gaps/:id/acknowledge.
func (s *Server) acknowledgeGap(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	gap, err := s.store.Recommend.AcknowledgeGap(c.Request().Context(), id, byAdmin)
	if err != nil {
		return err
	}
	return ok(c, viewGap(gap))
}

// resolveGap handles POST /admin/coverage/gaps/:id/resolve.
func (s *Server) resolveGap(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var req types.ResolveRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	answer, err := checkResolve(req)
	if err != nil {
		return err
	}
	gap, err := s.store.Recommend.ResolveGap(c.Request().Context(), id, byAdmin, answer)
	if errors.Is(err, store.ErrNoCandidate) {
		return fieldProblem("candidate_id", "is not a "+string(answer.CandidateType)+" of the gap's workspace", nil)
	}
	if err != nil {
		return err
	}
	return ok(c, viewGap(gap))
}

func checkResolve(r types.ResolveRequest) (recommend.GapAnswer, error) {
	note := cleanText(r.Note)
	answer := recommend.GapAnswer{Note: note}
	switch {
	case r.CandidateID == "" && note == "":
		return answer, problem(http.StatusBadRequest, "A gap is resolved with a candidate or with a note.",
			invalid.FieldError{Field: "candidate_id", Message: "is missing, and so is note"})
	case utf8.RuneCountInString(note) > maxNote:
		return answer, fieldProblem("note", fmt.Sprintf("has %d characters of %d", utf8.RuneCountInString(note), maxNote), maxNote)
	case r.CandidateID == "":
		return answer, nil
	}
	answer.CandidateType = recommend.CandidateTune
	if r.CandidateType != "" {
		answer.CandidateType = recommend.CandidateType(r.CandidateType)
	}
	if answer.CandidateType != recommend.CandidateTune && answer.CandidateType != recommend.CandidateDocument {
		return answer, fieldProblem("candidate_type", fmt.Sprintf("%q is not one", r.CandidateType), []recommend.CandidateType{recommend.CandidateTune, recommend.CandidateDocument})
	}
	var err error
	if answer.CandidateID, err = uuid.Parse(r.CandidateID); err != nil {
		return answer, fieldProblem("candidate_id", "is not an id", nil)
	}
	return answer, nil
}
