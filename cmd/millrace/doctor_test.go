package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/store/pgtest"
)

func TestDoctorAdvisesAndFailsUnlessAllIsWell(t *testing.T) {
	db := pgtest.New(t)
	look := func(flags ...string) (int, string) {
		var out, errs bytes.Buffer
		status := run(t.Context(), append([]string{"doctor", "--database-url", db.URL}, flags...), &out, &errs)
		return status, out.String() + errs.String()
	}
	_, out := look()
	require.Contains(t, out, "retention")
	require.Contains(t, out, "migrations")
	require.Contains(t, out, "overall")

	require.Contains(t, out, "protection")
	// Beside millrace dev, the database is the one that its settings name.
	t.Setenv("DATABASE_URL", "")
	t.Chdir(t.TempDir())
	var said bytes.Buffer
	require.Equal(t, 2, run(t.Context(), []string{"doctor"}, &said, &said))
	require.Contains(t, said.String(), "DATABASE_URL is not set")
	require.NoError(t, os.Mkdir(filepath.Dir(defaultEnvFile), 0o700))
	require.NoError(t, devSettings{DatabaseURL: db.URL}.write(defaultEnvFile))
	run(t.Context(), []string{"doctor"}, &said, &said)
	require.Contains(t, said.String(), "overall")
	owner := db.OwnerPool(t)
	_, err := owner.Exec(t.Context(), `drop table llm_minutes; delete from millrace_migration where version_id > 1`)
	require.NoError(t, err)
	status, out := look()
	require.Equal(t, 1, status)
	require.Contains(t, out, "llm_minutes")
	require.Contains(t, out, "→")
	require.Contains(t, out, "millrace migrate up")
	require.Contains(t, out, "table llm_minutes")
	status, out = look("--json")
	require.Equal(t, 1, status)
	var document ops.HealthDocument
	require.NoError(t, json.Unmarshal([]byte(out), &document), out)
	require.Equal(t, ops.StatusError, document.Status)

	status = run(t.Context(), []string{"doctor", "--database-url", "postgres://nobody@127.0.0.1:1/none?sslmode=disable"}, &bytes.Buffer{}, &bytes.Buffer{})
	require.Equal(t, 1, status)
}

func TestDoctorOffersToEmbedAgainWhatHasNoVectors(t *testing.T) {
	db := pgtest.New(t)
	_, err := db.OwnerPool(t).Exec(t.Context(), `
		with w as (insert into workspaces (id, name) values ('0190b6a0-0000-7000-8000-000000000001', 'w') returning id),
		     c as (insert into vector_collections (name, dimensions) values ('c', 4)),
		     m as (insert into workspace_models (workspace_id, provider, model, collection, dimensions) select id, 'hash', 'm', 'c', 4 from w)
		insert into documents (id, workspace_id, source_type, canonical_url, chunks) select gen_random_uuid(), id, 'text', 'u', 3 from w`)
	require.NoError(t, err)
	var out bytes.Buffer
	require.Eventually(t, func() bool {
		out.Reset()
		status := run(t.Context(), []string{"doctor", "--database-url", db.URL}, &out, &bytes.Buffer{})
		return status == 1 && strings.Contains(out.String(), "0190b6a0-0000-7000-8000-000000000001 has 0 for 3 chunks of hash/m")
	}, 30*time.Second, 20*time.Millisecond, "%s", &out)
	require.Contains(t, out.String(), "millrace admin workspace reembed 0190b6a0-0000-7000-8000-000000000001 --to hash")
}
