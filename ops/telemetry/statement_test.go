package telemetry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASpanOfAStatementNamesItsTableOnly(t *testing.T) {
	for sql, want := range map[string]string{
		"select id, 'private' from tunes where id = $1":                 "SELECT tunes",
		"\n\t\tinsert into event_log (workspace_id) values ($1)":        "INSERT event_log",
		"update tunes set status = 'running' where id = $1 returning *": "UPDATE tunes",
		"delete from river_job where id = 7":                            "DELETE river_job",
		"with lost as (select * from workers) select * from lost":       "WITH workers",
		"begin; set local role millrace_workspace; select 'private'":    "BEGIN",
		"commit": "COMMIT",
		"select pg_advisory_xact_lock(hashtextextended($1, 0))": "SELECT",
		"": "SQL",
		"-- name: JobInsert :many\nINSERT INTO river_job (id) values (1)": "INSERT river_job",
	} {
		require.Equal(t, want, statementName(sql), sql)
	}
}
