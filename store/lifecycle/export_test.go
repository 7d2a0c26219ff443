package lifecycle

// Emptied are the tables that a workspace's deletion empties, and Kept those that it leaves.
func Emptied() []string {
	var all []string
	for _, h := range holdings() {
		all = append(all, h.table)
		for _, p := range h.parts {
			all = append(all, p.table)
		}
	}
	return all
}

// Kept are the tables whose rows outlive their workspace.
func Kept() []string { return keptTables() }

// Holdings are what a workspace's deletion counts and empties.
func Holdings() []holding { return holdings() }
