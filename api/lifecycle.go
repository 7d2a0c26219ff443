package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/openapi"
	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/tenants"
)

// archivedToo is the parameter of lists by which they have what was archived.
func archivedToo() openapi.Param {
	return inQuery("archived", "those that were archived, in place of those that were not", openapi.Schema{"type": "boolean", "default": false})
}

func dryRun() openapi.Param {
	return inQuery("dry_run", "answer what would be deleted, and delete nothing", openapi.Schema{"type": "boolean", "default": false})
}

func cascading() openapi.Param {
	return inQuery("cascade", "delete what depends on it too, and cancel what has not ended; needs the role admin", openapi.Schema{"type": "boolean", "default": false})
}

// deletable are the kinds that a deletion's job takes away, by their paths.
func deletable() []struct {
	kind       lifecycle.Kind
	path, noun string
} {
	return []struct {
		kind       lifecycle.Kind
		path, noun string
	}{
		{lifecycle.Tune, "/backtests/tunes/:id", "tune"},
		{lifecycle.WalkForward, "/backtests/wfo/:id", "walk-forward and the tunes of its folds"},
		{lifecycle.RunPlan, "/run-plans/:id", "run plan and the tunes of its variants"},
		{lifecycle.Run, "/backtests/runs/:id", "run"},
		{lifecycle.Dataset, "/datasets/:id", "version of a dataset, by id, NAME for the newest, or NAME@N"},
	}
}

// lifecycleRoutes are the routes that delete, archive and restore.
func (s *Server) lifecycleRoutes() []route {
	routes := []route{
		{http.MethodGet, "/deletions", viewer, s.listDeletions, bodyLimit, about{
			summary: "The deletions, newest first", params: paging(50, 200), answer: types.List[types.Deletion]{}}},
		{http.MethodGet, "/deletions/:id", viewer, s.getDeletion, bodyLimit, about{summary: "A deletion: how far it is", answer: types.Deletion{}}},
	}
	routes = append(routes, route{http.MethodPost, "/bulk", member, s.changeMany, creates | inline, about{
		summary: "Cancel, retry, delete, archive, restore or tag all that a filter finds, when their number is the one confirmed; delete needs the role admin",
		body:    types.BulkRequest{}, sample: sampleBulk, answer: types.BulkResult{}}})
	for _, of := range deletable() {
		asked := params(dryRun(), cascading())
		if of.kind == lifecycle.Dataset {
			asked = append(asked, inQuery("versions", "all: every version of the name", openapi.Schema{"type": "string", "enum": []string{"one", "all"}, "default": "one"}))
		}
		routes = append(routes, route{http.MethodDelete, of.path, member, s.deleteOf(of.kind), bodyLimit, about{
			summary: "Delete a " + of.noun + "; 409 names what depends on it or has not ended", params: asked,
			query: "cascade=true", status: http.StatusAccepted, answer: types.Deletion{}, dry: types.Deletion{}}})
	}
	for _, of := range []struct {
		kind       lifecycle.Kind
		path, noun string
	}{
		{lifecycle.Tune, "/backtests/tunes/:id", "tune"}, {lifecycle.WalkForward, "/backtests/wfo/:id", "walk-forward"}, {lifecycle.RunPlan, "/run-plans/:id", "run plan"}, {lifecycle.Run, "/backtests/runs/:id", "run"},
		{lifecycle.Dataset, "/datasets/:id", "dataset, with all its versions"}, {lifecycle.Document, "/documents/:id", "document"}, {lifecycle.Strategy, "/strategies/:id", "script"},
	} {
		routes = append(routes,
			route{http.MethodPost, of.path + "/archive", member, s.archiveOf(of.kind, true), bodyLimit, about{
				summary: "Take a " + of.noun + " out of the lists; it stays as it is", answer: types.Archived{}}},
			route{http.MethodPost, of.path + "/restore", member, s.archiveOf(of.kind, false), bodyLimit, about{
				summary: "Put an archived " + of.noun + " back into the lists", answer: types.Archived{}}})
	}
	return routes
}

// queryBool reads a truth value of the query; left out it is false.
func queryBool(c echo.Context, name string) (bool, error) {
	text := c.QueryParam(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, badQuery(name, "must be true or false", []bool{true, false})
	}
	return value, nil
}

// subject is what a path names, of a kind.
func (s *Server) subject(c echo.Context, kind lifecycle.Kind) (uuid.UUID, error) {
	if kind != lifecycle.Dataset {
		return pathID(c)
	}
	dataset, err := s.store.Market.Dataset(c.Request().Context(), workspaceOf(c), c.Param("id"))
	if errors.Is(err, store.ErrNotFound) {
		return pathID(c) // of one that is being deleted
	}
	return dataset.ID, err
}

// deleteOf handles DELETE of one of a kind.
func (s *Server) deleteOf(kind lifecycle.Kind) echo.HandlerFunc {
	return func(c echo.Context) error {
		dry, dryErr := queryBool(c, "dry_run")
		cascade, err := queryBool(c, "cascade")
		if err := errors.Join(dryErr, err); err != nil {
			return err
		}
		id, err := s.subject(c, kind)
		if err != nil {
			return err
		}
		ctx, workspace := c.Request().Context(), workspaceOf(c)
		r := lifecycle.Request{Kind: kind, IDs: []uuid.UUID{id}, Cascade: cascade}
		switch versions := c.QueryParam("versions"); {
		case versions == "all" && kind == lifecycle.Dataset:
			if r.IDs, err = s.store.Market.VersionIDs(ctx, workspace, id); err != nil {
				return err
			}
			if len(r.IDs) == 0 {
				r.IDs = []uuid.UUID{id}
			}
		case versions != "" && versions != "one":
			return badQuery("versions", "must be one or all", []string{"one", "all"})
		}
		if dry {
			plan, err := s.store.Lifecycle.Preview(ctx, workspace, r)
			if err != nil {
				return deletionProblem(err)
			}
			return ok(c, viewPlan(kind, id, plan))
		}
		if cascade && !principalOf(c).Role.Includes(tenants.RoleAdmin) {
			return problem(http.StatusForbidden, "The key's role is "+string(principalOf(c).Role)+"; deleting with cascade=true needs admin.")
		}
		made, err := s.store.Lifecycle.Delete(ctx, workspace, r)
		if err != nil {
			return deletionProblem(err)
		}
		c.Response().Header().Set("Location", "/deletions/"+made.ID.String())
		return writeJSON(c, http.StatusAccepted, "application/json", viewDeletion(made))
	}
}

// deletionProblem says what is in the way of a deletion.
func deletionProblem(err error) error {
	var many *lifecycle.TooManyError
	if errors.As(err, &many) {
		return problem(http.StatusConflict, fmt.Sprintf("It takes away or cancels more than %d things at once. Delete or cancel some of what depends on it first.", many.Limit))
	}
	var refused *lifecycle.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	p := refused.Plan
	var faults []invalid.FieldError
	for _, ref := range p.Active {
		faults = append(faults, invalid.FieldError{Field: "active", Message: fmt.Sprintf("the %s %s is %s: cancel it first", noun(ref.Kind), ref.ID, ref.Status)})
	}
	for _, ref := range p.Dependants {
		faults = append(faults, invalid.FieldError{Field: "dependants", Message: fmt.Sprintf("the %s %s (%s) depends on it", noun(ref.Kind), ref.ID, ref.Name)})
	}
	detail := fmt.Sprintf("%d things depend on it, and %d have not ended.", len(p.Dependants), len(p.Active))
	return problem(http.StatusConflict, detail+" Nothing was deleted. cascade=true deletes what depends on it and cancels what runs; dry_run=true lists it.", faults...)
}

// noun is what messages call a kind.
func noun(kind lifecycle.Kind) string {
	return map[lifecycle.Kind]string{
		lifecycle.Tune: "tune", lifecycle.WalkForward: "walk-forward", lifecycle.RunPlan: "run plan", lifecycle.Run: "run", lifecycle.Dataset: "dataset",
		lifecycle.Schedule: "schedule",
	}[kind]
}

func viewPlan(kind lifecycle.Kind, id uuid.UUID, p *lifecycle.Plan) types.Deletion {
	view := types.Deletion{DryRun: true, Kind: string(kind), ID: id.String(), Deletes: map[string]int{}}
	for kind, n := range p.Deletes {
		view.Deletes[string(kind)] = n
		view.Items += n
	}
	view.Dependants, view.DependantsTotal = viewRefs(p.Dependants)
	view.Active, view.ActiveTotal = viewRefs(p.Active)
	return view
}

func viewRefs(refs []lifecycle.Ref) (shown []types.Dependant, total int) {
	const most = 100
	for _, ref := range refs[:min(len(refs), most)] {
		shown = append(shown, types.Dependant{Kind: string(ref.Kind), ID: ref.ID.String(), Name: ref.Name, Status: ref.Status})
	}
	return shown, len(refs)
}

func viewDeletion(d *lifecycle.Deletion) types.Deletion {
	created := d.CreatedAt.UTC()
	view := types.Deletion{
		DeletionID: d.ID.String(), Kind: string(d.Kind), Status: types.DeletionStatus(d.Status), Items: d.Items, ItemsDone: d.ItemsDone,
		RowsDeleted: d.RowsDeleted, Error: d.Error, CreatedAt: &created, StartedAt: utc(d.StartedAt), CompletedAt: utc(d.CompletedAt),
	}
	if d.SubjectID != nil {
		view.ID = d.SubjectID.String()
	}
	return view
}

// listDeletions handles GET /deletions.
func (s *Server) listDeletions(c echo.Context) error {
	place := func(d *lifecycle.Deletion) (time.Time, uuid.UUID) { return d.CreatedAt, d.ID }
	return newestFirst(c, 200, place, viewDeletion, func(ctx context.Context, page store.Page, limit int) ([]*lifecycle.Deletion, error) {
		return s.store.Lifecycle.Deletions(ctx, workspaceOf(c), page, limit)
	})
}

// getDeletion handles GET /deletions/:id.
func (s *Server) getDeletion(c echo.Context) error {
	return named(c, viewDeletion, s.store.Lifecycle.Deletion)
}

// archiveOf handles POST of archive and restore of one of a kind.
func (s *Server) archiveOf(kind lifecycle.Kind, archived bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := s.subject(c, kind)
		if err != nil {
			return err
		}
		if err := s.store.Lifecycle.Archive(c.Request().Context(), workspaceOf(c), kind, id, archived); err != nil {
			return err
		}
		return ok(c, types.Archived{Kind: string(kind), ID: id.String(), Archived: archived})
	}
}

// alone answers the dry run of a deletion that takes nothing else away.
func alone(c echo.Context, err error, kind lifecycle.Kind, id uuid.UUID) error {
	if err != nil {
		return err
	}
	return ok(c, types.Deletion{DryRun: true, Kind: string(kind), ID: id.String(), Items: 1, Deletes: map[string]int{string(kind): 1}})
}
