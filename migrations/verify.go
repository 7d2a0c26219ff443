package migrations

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed catalogue.sql
var catalogueSQL string

// manifest is what catalogue.sql finds in a database that was just migrated. A test compares the two
// and says how to write it again.
//
//go:embed manifest.json
var manifestJSON []byte

// Item is something that a database of this version has: a role, a policy, a right, a trigger.
type Item struct {
	Key  string `json:"key"`            // how messages name it
	Make string `json:"make,omitempty"` // statements that make it; empty where only a backup has it
}

// Manifest lists what a database of this version has, in an order in which it can be made.
func Manifest() []Item {
	var items []Item
	if err := json.Unmarshal(manifestJSON, &items); err != nil {
		panic("migrations: the embedded manifest cannot be read: " + err.Error())
	}
	return items
}

// Catalogue lists what a database has of the kinds that the manifest is made of.
func Catalogue(ctx context.Context, db Querier) ([]Item, error) {
	rows, err := db.Query(ctx, catalogueSQL)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Item])
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	return items, nil
}

// Missing lists what a database of this version should have and does not. It is empty for a database
// of a newer version, as that may have replaced what this one knows.
func Missing(ctx context.Context, db Querier) ([]Item, error) {
	own, err := applied(ctx, db, `select version_id, tstamp at time zone 'UTC' from `+table+` where is_applied`)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	known := ours()
	for version := range own {
		if version > known[len(known)-1].Version {
			return nil, nil
		}
	}
	found, err := Catalogue(ctx, db)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, item := range found {
		have[item.Key] = true
	}
	return slices.DeleteFunc(Manifest(), func(item Item) bool { return have[item.Key] }), nil
}

// ErrIncomplete says that a database lacks what protects its data, as after a restore.
var ErrIncomplete = errors.New("the database is incomplete")

// Check returns ErrIncomplete, naming what is missing, unless the database is complete.
func Check(ctx context.Context, db Querier) error {
	missing, err := Missing(ctx, db)
	if err != nil || len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%w: it has no %s: run `millrace migrate up`, which makes what can be made again", ErrIncomplete, enumerate(missing))
}

// enumerate names the first few.
func enumerate(items []Item) string {
	const most = 5
	names := make([]string, 0, most)
	for _, item := range items[:min(most, len(items))] {
		names = append(names, item.Key)
	}
	if len(items) > most {
		names = append(names, fmt.Sprintf("and %d more", len(items)-most))
	}
	return strings.Join(names, "; ")
}

// makeRoles makes the roles that migrations and restored policies refer to, and lets the login use them.
func makeRoles(ctx context.Context, pool *pgxpool.Pool) (made []string, err error) {
	for _, role := range []string{"millrace_app", "millrace_fleet", "millrace_tenant", "millrace_workspace", "millrace_audit"} {
		var there bool
		if err := pool.QueryRow(ctx, `select exists (select from pg_roles where rolname = $1)`, role).Scan(&there); err != nil {
			return made, fmt.Errorf("look for role %s: %w", role, err)
		}
		if there {
			continue
		}
		// Another database of the cluster may be making it now.
		if _, err := pool.Exec(ctx, `
			do $$ begin create role `+role+` nologin; exception when duplicate_object or unique_violation then null; end $$`); err != nil {
			return made, fmt.Errorf("make role %s: %w", role, err)
		}
		made = append(made, "role "+role)
	}
	_, err = pool.Exec(ctx, `
		do $$
		declare
		    role_name text;
		begin
		    foreach role_name in array array['millrace_app', 'millrace_fleet', 'millrace_tenant', 'millrace_workspace', 'millrace_audit'] loop
		        if not pg_has_role(current_user, role_name, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end) then
		            execute format('grant %I to current_user', role_name);
		        end if;
		    end loop;
		end
		$$`)
	if err != nil {
		return made, fmt.Errorf("become a member of the roles: %w", err)
	}
	return made, nil
}

// repair makes what is missing, and returns what it made. What cannot be made again is ErrIncomplete.
func repair(ctx context.Context, pool *pgxpool.Pool) (made []string, err error) {
	missing, err := Missing(ctx, pool)
	if err != nil {
		return nil, err
	}
	var database string
	if err := pool.QueryRow(ctx, `select quote_ident(current_database())`).Scan(&database); err != nil {
		return nil, fmt.Errorf("name the database: %w", err)
	}
	var failed []error
	for _, item := range missing {
		if item.Make == "" {
			failed = append(failed, fmt.Errorf("%s: only a backup has it", item.Key))
			continue
		}
		// The simple protocol runs all statements of an item as one transaction.
		if _, err := pool.Exec(ctx, strings.ReplaceAll(item.Make, `"%DATABASE%"`, database), pgx.QueryExecModeSimpleProtocol); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", item.Key, err))
			continue
		}
		made = append(made, item.Key)
	}
	if len(failed) > 0 {
		return made, fmt.Errorf("%w: %w", ErrIncomplete, errors.Join(failed...))
	}
	given, err := giveAudit(ctx, pool)
	return append(made, given...), err
}

// giveAudit has the functions of the audit log run with the rights of its role, which may only add to it: a dump that
// is restored without owners leaves them to whom restored it.
func giveAudit(ctx context.Context, pool *pgxpool.Pool) (made []string, err error) {
	rows, err := pool.Query(ctx, `select oid::regprocedure::text from pg_proc
		where pronamespace = 'public'::regnamespace and proname in ('audit_append', 'audit_forget', 'audit_seal')
		  and pg_get_userbyid(proowner) <> 'millrace_audit' order by 1`)
	if err != nil {
		return nil, fmt.Errorf("look at the audit log's owner: %w", err)
	}
	functions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look at the audit log's owner: %w", err)
	}
	for _, function := range functions {
		// An owner has to have the right to create when it becomes one.
		if _, err := pool.Exec(ctx, `
			grant create on schema public to millrace_audit;
			alter function `+function+` owner to millrace_audit;
			revoke create on schema public from millrace_audit`, pgx.QueryExecModeSimpleProtocol); err != nil {
			return made, fmt.Errorf("%w: give %s to millrace_audit: %w", ErrIncomplete, function, err)
		}
		made = append(made, "owner of function "+function)
	}
	return made, nil
}
