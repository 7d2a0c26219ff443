package console

import "slices"

// Who is who looks at the pages: an admin of the server, or a person with a key of one workspace.
type Who struct {
	Name  string // of the admin, or of the key
	Role  string // of the key; "" for an admin
	Admin bool
}

// roles are those of keys, from the least to the most; each includes those before it.
func roles() []string { return []string{"viewer", "member", "admin", "owner"} }

// May reports whether who looks at the page may do what needs the role; an admin of the server may do
// everything. What it denies a page does not show; the server refuses it besides.
func (v *view) May(role string) bool {
	return v.Who.Admin || v.Who.Role != "" && slices.Index(roles(), v.Who.Role) >= slices.Index(roles(), role)
}

// Nav is the navigation, without what is not for who looks at it.
func (v *view) Nav() []navItem {
	return slices.DeleteFunc(navigation(), func(item navItem) bool { return !v.mayOpen(item) })
}

func (v *view) mayOpen(item navItem) bool {
	if item.Role == "" {
		return v.Who.Admin
	}
	return v.May(item.Role)
}
