package signin

import (
	"fmt"
	"slices"
	"strings"

	"millrace/store/tenants"
)

// Grant is what a value of the claim opens: everything, as an admin, or one workspace with a role.
type Grant struct {
	Value     string
	Admin     bool
	Workspace string // its name; "" of an admin
	Role      tenants.Role
}

// ParseGrant reads VALUE=admin or VALUE=WORKSPACE:ROLE. Values may hold equals signs, as names of directories do.
func ParseGrant(text string) (Grant, error) {
	at := strings.LastIndex(text, "=")
	if at < 1 || at == len(text)-1 {
		return Grant{}, fmt.Errorf("%q is not VALUE=admin or VALUE=WORKSPACE:ROLE", text)
	}
	g, what := Grant{Value: strings.TrimSpace(text[:at])}, strings.TrimSpace(text[at+1:])
	if what == "admin" {
		g.Admin = true
		return g, nil
	}
	at = strings.LastIndex(what, ":")
	if at < 1 {
		return Grant{}, fmt.Errorf("%q opens neither admin nor WORKSPACE:ROLE", text)
	}
	g.Workspace, g.Role = what[:at], tenants.Role(what[at+1:])
	if !slices.Contains(tenants.Roles(), g.Role) {
		return Grant{}, fmt.Errorf("%q names the role %q: there are %v", text, g.Role, tenants.Roles())
	}
	return g, nil
}

// granted is the first of the grants that one of the values has; an admin's goes first, wherever it is.
func granted(grants []Grant, values []string) (Grant, bool) {
	has := func(g Grant) bool { return slices.Contains(values, g.Value) }
	for _, g := range grants {
		if g.Admin && has(g) {
			return g, true
		}
	}
	if i := slices.IndexFunc(grants, has); i >= 0 {
		return grants[i], true
	}
	return Grant{}, false
}
