package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/store"
	"millrace/store/tenants"
)

// unaudited are the unsafe routes that leave no entry in the audit log, with the reason why.
func unaudited() map[string]string {
	return map[string]string{
		"POST /query":                  "it reads",
		"POST /kb/recommend":           "it reads, and notes that it was asked",
		"POST /datasets/inspect":       "it stores nothing",
		"POST /strategies/check":       "it stores nothing",
		"POST /admin/coverage/explain": "it reads",
		"POST /admin/events/ticket":    "every page takes one; the sign-in before it has its entry",
		"POST /admin/login":            "writes its own entries, of refused sign-ins too",
		"POST /admin/logout":           "writes its own entry, when there is a session to end",
	}
}

// audited reports whether what the route changes leaves an entry. A page calls a route of the API, which does.
func (r route) audited() bool {
	return r.method != http.MethodGet && r.method != http.MethodHead && !r.about.page && unaudited()[r.method+" "+r.path] == ""
}

// audit has the request's change leave an entry, in the change's own transaction. What changes nothing (what is
// refused, and what is answered again) leaves none.
func (s *Server) audit(c echo.Context, r *route) {
	if !r.audited() {
		return
	}
	workspace := workspaceOf(c)
	if workspace == uuid.Nil && strings.HasPrefix(r.path, "/admin/workspaces/:id") {
		workspace, _ = uuid.Parse(c.Param("id")) // else the handler refuses it
	}
	entry := newEntry(c, r.method+" "+r.path, actorOf(c))
	entry.Entity = entityOf(r.path, c.Param)
	left := store.NewAudit(workspace, entry)
	if r.traits&creates != 0 {
		left = left.OfSubmission()
	}
	ctx := store.WithAudit(c.Request().Context(), left)
	c.SetRequest(c.Request().WithContext(ctx))
}

func newEntry(c echo.Context, route string, actor store.AuditActor) store.AuditEntry {
	return store.AuditEntry{Actor: actor, Route: route, From: address(c), RequestID: requestID(c), Outcome: "ok"}
}

// actorOf is who the request comes from. Of a page's call it is who signed in.
func actorOf(c echo.Context) store.AuditActor {
	passed, _ := c.Get(passKey).(pass)
	_, inside := insiderOf(c.Request())
	console := inside || passed.maker.Session != nil
	if v, ok := visitorOf(c.Request().Context()); ok {
		return visitorActor(v, console)
	}
	principal := principalOf(c)
	return keyActor(principal, console)
}

func visitorActor(v visitor, console bool) store.AuditActor {
	switch {
	case v.person != nil:
		return keyActor(*v.person, console)
	case v.admin != nil:
		return store.AuditActor{Kind: "admin", ID: v.admin.ID.String(), Name: v.admin.Name, Console: console}
	}
	return store.AuditActor{Kind: "admin", Name: "ADMIN_TOKEN", Console: console}
}

func keyActor(p tenants.Principal, console bool) store.AuditActor {
	return store.AuditActor{Kind: "key", ID: p.KeyID.String(), Name: p.KeyName, Role: string(p.Role), Console: console}
}

// entityOf is what a route changes, by its path: /tunes/:id/cancel changes a tune, /tunes/:id/keys makes a key. What
// is made has its id added where it is stored.
func entityOf(path string, param func(string) string) store.AuditEntity {
	var entity store.AuditEntity
	for part := range strings.SplitSeq(path, "/") {
		switch name, isParam := strings.CutPrefix(part, ":"); {
		case isParam:
			entity.ID = param(name)
		case kindOf(part) != "":
			entity = store.AuditEntity{Type: kindOf(part)}
		}
	}
	return entity
}

// kindOf is of what a part of a path says that there are several, or that one is made; "" of none.
func kindOf(part string) string {
	switch part {
	case "tune", "tunes":
		return "tune"
	case "wfo":
		return "walk_forward"
	case "run", "runs":
		return "run"
	case "run-plans":
		return "run_plan"
	case "ingest", "jobs":
		return "ingestion"
	case "strategies", "strategy":
		return "strategy"
	case "workspaces", "workspace":
		return "workspace"
	case "tokens":
		return "admin_token"
	case "prune":
		return "retention_run"
	case "deliveries":
		return "delivery"
	case "documents", "datasets", "schedules", "keys", "gaps", "webhooks":
		return strings.TrimSuffix(part, "s")
	case "reembed":
		return part
	}
	return ""
}

// auditSession has what a sign-in or sign-out stores leave an entry.
func auditSession(c echo.Context, route string, v visitor) context.Context {
	entry := newEntry(c, route, visitorActor(v, true))
	entry.Entity.Type = "session"
	return store.WithAudit(c.Request().Context(), store.NewAudit(v.workspace(), entry))
}

// noteRefused leaves an entry of a sign-in that was refused. The limit of logins bounds how many.
func (s *Server) noteRefused(c echo.Context, route string) error {
	entry := newEntry(c, route, store.AuditActor{Kind: "nobody", Console: true})
	entry.Entity.Type, entry.Outcome = "session", "refused"
	return s.store.Note(c.Request().Context(), uuid.Nil, entry)
}
