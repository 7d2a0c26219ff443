package migrations

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// contracting is what the version before this one would stumble over, if it still ran: a table or
// column that is gone, has another name or type, or asks for a value it does not know to give; or an index that is gone, by which it reads.
var contracting = regexp.MustCompile(`(?im)^\s*(drop\s+(table|view|index)|alter\s+table\s+\S+\s+(drop\s+column|rename|alter\s+column\s+\S+\s+(type|set\s+not\s+null)))\b`)

// While an upgrade is under way, servers of two versions run on the new schema. So a migration only
// adds; what nothing uses any more is dropped by a release after the one that stopped using it, and
// that migration is named here with the release that did, or with the reason why no server notices.
func TestMigrationsExpandBeforeTheyContract(t *testing.T) {
	t.Parallel()
	contracts := map[string]string{
		"sql/0011_wfo.sql":           "another index of leaderboards serves what read by it",
		"sql/0025_full_text.sql":     "the one that replaces it serves the searches of before",
		"sql/0210_trouble.sql":       "the one that replaces it holds the same rows and more",
		"sql/0301_river_indexes.sql": "nothing reads by them",
		"sql/0400_tune_indexes.sql":  "those that replace it serve what read by it",
		"sql/0320_audit_insert.sql":  "servers of before add entries by audit_append, which it replaces, and only count the rows of the table",
	}
	names, err := fs.Glob(files, "sql/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		body, err := files.ReadFile(name)
		require.NoError(t, err)
		up, _, _ := strings.Cut(string(body), "-- +goose Down")
		if found := contracting.FindString(up); found != "" {
			require.Contains(t, contracts, name, "%q takes something away", found)
		}
	}
	require.Regexp(t, contracting, "alter table tunes drop column error")
	require.Regexp(t, contracting, "drop index tunes_listed")
	require.Regexp(t, contracting, "ALTER TABLE t ALTER COLUMN c SET NOT NULL")
}
