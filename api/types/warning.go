package types

import "strings"

// ShownWarning is a stored warning as people read it. Stored warnings keep the words they were written
// with, because the same request has the same bytes; what is shown of them can improve.
func ShownWarning(stored string) string {
	return strings.Replace(stored, "no trial passed its gates with a defined objective: see reasons", "no trial met the limits", 1)
}
