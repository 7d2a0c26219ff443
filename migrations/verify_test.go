package migrations_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/migrations"
	"millrace/store/pgtest"
)

// The manifest is that of a database that was just made. After a new migration, write it again with
// make manifest.
func TestTheManifestIsThatOfAFreshDatabase(t *testing.T) {
	db := pgtest.NewEmpty(t)
	report, err := migrations.Bring(t.Context(), db.OwnerURL, migrations.Options{})
	require.NoError(t, err)
	require.Empty(t, report.Repaired, "the migrations leave out what the manifest has")
	found, err := migrations.Catalogue(t.Context(), db.OwnerPool(t))
	require.NoError(t, err)
	require.Greater(t, len(found), 300)
	if os.Getenv("MILLRACE_WRITE_MANIFEST") != "" {
		lines := make([]string, len(found)) // a line for each, so that branches merge
		for i, item := range found {
			line, err := json.Marshal(item)
			require.NoError(t, err)
			lines[i] = string(line)
		}
		require.NoError(t, os.WriteFile("manifest.json", []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644))
		return
	}
	require.Equal(t, migrations.Manifest(), found,
		"write it again: make manifest")
	require.NoError(t, migrations.Check(t.Context(), db.OwnerPool(t)))
}

// What a restore leaves out is found, named, and made again; a database without a table is not called
// complete.
func TestUpRepairsWhatARestoreLeavesOut(t *testing.T) {
	db := pgtest.NewEmpty(t)
	ctx := t.Context()
	require.NoError(t, migrations.Up(ctx, db.OwnerURL))
	owner := db.OwnerPool(t)
	for statement, name := range map[string]string{
		`drop policy tenant on tunes`:                                                                        "policy tenant on tunes",
		`alter table api_keys disable row level security`:                                                    "row-level security on api_keys",
		`alter table api_keys no force row level security`:                                                   "forced row-level security on api_keys",
		`revoke select on tunes from millrace_app`:                                                           "right to select on table tunes for millrace_app",
		`revoke insert (topic) on event_log from millrace_app`:                                               "right to insert column topic of event_log for millrace_app",
		`drop trigger event_log_river_insert on river_job`:                                                   "trigger event_log_river_insert on river_job",
		`alter table river_job disable trigger river_job_holder`:                                             "trigger river_job_holder on river_job",
		`alter function event_log_from_river_insert() owner to current_user`:                                 "function event_log_from_river_insert() runs as millrace_fleet",
		`alter function event_log_from_river_insert() security invoker`:                                      "function event_log_from_river_insert() is security definer",
		`grant execute on function event_log_from_river_insert() to public`:                                  "function event_log_from_river_insert() is closed to public",
		`grant create on schema public to public`:                                                            "no new objects in schema public for public",
		`do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$`: "no temporary tables for public",
	} {
		_, err := owner.Exec(ctx, statement)
		require.NoError(t, err, statement)
		require.ErrorContains(t, migrations.Check(ctx, owner), name)
		report, err := migrations.Bring(ctx, db.OwnerURL, migrations.Options{})
		require.NoError(t, err, statement)
		require.NotEmpty(t, report.Repaired)
		require.Contains(t, report.Repaired[0], name)
		require.NoError(t, migrations.Check(ctx, owner), statement)
	}
	report, err := migrations.Bring(ctx, db.OwnerURL, migrations.Options{})
	require.NoError(t, err)
	require.Zero(t, report, "nothing was left to do")
	_, err = owner.Exec(ctx, `drop table llm_minutes`)
	require.NoError(t, err)
	require.ErrorContains(t, migrations.Up(ctx, db.OwnerURL), "table llm_minutes: only a backup has it")
}
