package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// LimitedSuffix makes the name of the login of workspaces' transactions from that of the servers.
const LimitedSuffix = "_limited"

// ensureLogins makes the two roles that servers log in as: one for all of the fleet's work, and a limited one
// for transactions of workspaces, which may act as millrace_workspace and nothing else. They inherit nothing,
// so they may do nothing until they act as one of our roles, and leaving that role gains nothing.
func ensureLogins(ctx context.Context, pool *pgxpool.Pool, name, password string) error {
	if strings.Contains(name, "$") {
		return errors.New("the login's name must not have a $ in it")
	}
	for login, roles := range map[string]string{
		name: "millrace_app, millrace_tenant, millrace_fleet, millrace_workspace", name + LimitedSuffix: "millrace_workspace",
	} {
		login := pgx.Identifier{login}.Sanitize()
		statement := `do $$ begin create role ` + login + ` login noinherit; exception when duplicate_object or unique_violation then null; end $$;
			alter role ` + login + ` login noinherit;
			grant ` + roles + ` to ` + login
		if password != "" {
			statement += `; alter role ` + login + ` password '` + strings.ReplaceAll(password, "'", "''") + `'`
		}
		if _, err := pool.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("make the login %s: %w", login, err)
		}
	}
	return nil
}

// HasLimitedLogin reports whether the login of a pool has the limited one beside it.
func HasLimitedLogin(ctx context.Context, db Querier) (has bool, err error) {
	rows, err := db.Query(ctx, `
		select exists (select from pg_roles r where r.rolname = session_user || $1 and r.rolcanlogin
		                  and pg_has_role(r.oid, 'millrace_workspace', 'member'))`, LimitedSuffix)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&has}, func() error { return nil })
	}
	if err != nil {
		return false, fmt.Errorf("look for the limited login: %w", err)
	}
	return has, nil
}

// CheckLimitedLogin returns ErrUnsafeLogin, with what to do, unless the sessions of a pool act as
// millrace_workspace and their login can act as nothing beyond it, whatever SQL gets into a session.
func CheckLimitedLogin(ctx context.Context, db Querier) error {
	rows, err := db.Query(ctx, `
		select session_user::text, current_user::text,
		       coalesce((select string_agg(r.rolname, ', ' order by r.rolname) from pg_roles r
		                  where r.rolname not in (session_user, 'millrace_workspace') and pg_has_role(session_user, r.oid, 'member')), ''),
		       rolsuper or rolbypassrls or rolcreaterole
		  from pg_roles where rolname = session_user`)
	var login, acts, others string
	var free bool
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&login, &acts, &others, &free}, func() error { return nil })
	}
	switch {
	case err != nil:
		return fmt.Errorf("look at the limited login: %w", err)
	case acts != "millrace_workspace":
		return fmt.Errorf("%w: its sessions act as %s and not as millrace_workspace: a pooler in between drops the startup parameter role; use a direct URL", ErrUnsafeLogin, acts)
	case free:
		return fmt.Errorf("%w: %s is a superuser, bypasses row-level security or may make roles", ErrUnsafeLogin, login)
	case others != "":
		return fmt.Errorf("%w: %s may act as %s, where a login of workspaces' transactions may act as millrace_workspace only", ErrUnsafeLogin, login, others)
	}
	return nil
}

// noRole reports whether a connection was refused because the role it is to act as does not exist.
func noRole(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "22023" && strings.HasPrefix(pg.Message, "role ")
}

// ErrUnsafeLogin says that row-level security does not hold for the sessions of a pool.
var ErrUnsafeLogin = errors.New("the login is not held to its rights")

// CheckLogin returns ErrUnsafeLogin, with what to do, unless the sessions of a pool act as role and
// their login has no rights of its own: SQL that gets into a session could switch back to it.
func CheckLogin(ctx context.Context, db Querier, role string) error {
	rows, err := db.Query(ctx, `
		select session_user::text, current_user::text, r.rolsuper, r.rolbypassrls,
		       exists (select from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
		                and pg_has_role(session_user, c.relowner, 'member')),
		       pg_has_role(session_user, 'millrace_fleet', 'usage') or pg_has_role(session_user, 'millrace_app', 'usage')
		  from pg_roles r where r.rolname = session_user`)
	if noRole(err) {
		return fmt.Errorf("%w: the server has no role %s: run `millrace migrate up`, which makes what can be made again", ErrIncomplete, role)
	}
	if err != nil {
		return fmt.Errorf("look at the login: %w", err)
	}
	var login, acts string
	var super, bypass, owner, inherits bool
	if _, err := pgx.ForEachRow(rows, []any{&login, &acts, &super, &bypass, &owner, &inherits}, func() error { return nil }); err != nil {
		return fmt.Errorf("look at the login: %w", err)
	}
	const remedy = "; make one that is safe with `millrace migrate up --login NAME`, and use it in DATABASE_URL"
	switch {
	case acts != role:
		return fmt.Errorf("%w: its sessions act as %s and not as %s: a pooler in between drops the startup parameter role; use a direct URL", ErrUnsafeLogin, acts, role)
	case super:
		return fmt.Errorf("%w: %s is a superuser%s", ErrUnsafeLogin, login, remedy)
	case bypass:
		return fmt.Errorf("%w: %s bypasses row-level security%s", ErrUnsafeLogin, login, remedy)
	case owner:
		return fmt.Errorf("%w: %s owns the tables, or may act as their owner%s", ErrUnsafeLogin, login, remedy)
	case inherits:
		return fmt.Errorf("%w: %s inherits the rights of the roles it acts as: `alter role %[2]s noinherit`%[3]s", ErrUnsafeLogin, login, remedy)
	}
	return nil
}
