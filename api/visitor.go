package api

import (
	"context"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/console"
	"millrace/store/tenants"
)

// visitor is who signed in to the console: a person with a workspace's key, else an admin.
type visitor struct {
	person *tenants.Principal
	admin  *tenants.AdminHolder // nil: ADMIN_TOKEN
}

// workspace is the person's; of an admin it is none.
func (v visitor) workspace() (id uuid.UUID) {
	if v.person != nil {
		id = v.person.WorkspaceID
	}
	return id
}

type visitorKey struct{}

// withVisitor remembers who the request is from, for what its page reads and calls.
func withVisitor(c echo.Context, v visitor) {
	c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), visitorKey{}, v)))
}

func visitorOf(ctx context.Context) (visitor, bool) {
	v, ok := ctx.Value(visitorKey{}).(visitor)
	return v, ok
}

// Who implements console.Reads.
func (r consoleReads) Who(ctx context.Context) (console.Who, bool) {
	v, ok := visitorOf(ctx)
	switch {
	case !ok:
		return console.Who{}, false
	case v.person != nil:
		return console.Who{Name: v.person.KeyName, Role: string(v.person.Role)}, true
	case v.admin != nil:
		return console.Who{Name: v.admin.Name, Admin: true}, true
	}
	return console.Who{Name: "ADMIN_TOKEN", Admin: true}, true
}
