package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/store/localpg"
	"millrace/store/session"
)

// benchFloor inserts, by pgbench, the rows that a submission has written, into copies of their tables that have the
// same columns, defaults, checks and indexes, and neither triggers, references nor policies.
type benchFloor struct {
	database string
	script   string
}

// newBenchFloor makes the copies, and writes the script that inserts rows like those of the transaction that inserted
// the row of a table with an id.
func newBenchFloor(ctx context.Context, database, table, id string) (*benchFloor, error) {
	conn, err := session.Connect(ctx, database, session.Schema())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	tables, err := writtenTables(ctx, conn, table, id)
	if err != nil {
		return nil, err
	}
	script := []string{"begin;"}
	for _, table := range tables {
		_, err := conn.Exec(ctx, `create schema if not exists bench; create table if not exists bench.`+table.name+` (like public.`+table.name+` including all)`)
		if err != nil {
			return nil, fmt.Errorf("copy table %s: %w", table.name, err)
		}
		script = append(script, table.insert("bench")+";")
	}
	return &benchFloor{database: database, script: strings.Join(append(script, "commit;"), "\n")}, nil
}

// writtenTable is a row of a table, its values as SQL.
type writtenTable struct {
	name            string
	columns, values []string
}

func (t *writtenTable) insert(schema string) string {
	return `insert into ` + schema + `.` + t.name + ` (` + strings.Join(t.columns, ", ") + `) values (` + strings.Join(t.values, ", ") + `)`
}

// writtenTables are the rows of the transaction that wrote the row of a table with an id, in the tables in which it inserted them. Columns
// that a unique index is on are made up for each insert where they have a value and no check is on them, or left to their default.
func writtenTables(ctx context.Context, conn *pgx.Conn, of, id string) ([]writtenTable, error) {
	rows, err := conn.Query(ctx, `
		select c.relname, array_agg(a.attname::text order by a.attnum),
		       array_agg(case when a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like 'nextval%' then 'default'
		                      when not exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey)) then ''
		                      when a.atttypid = 'uuid'::regtype then 'gen_random_uuid()'
		                      when exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and a.attnum = any (k.conkey)) then ''
		                      when a.atttypid = 'text'::regtype then 'gen_random_uuid()::text'
		                      else '' end order by a.attnum)
		  from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
		  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
		  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
		 where c.relkind in ('r', 'p') and not c.relispartition
		 group by c.relname order by c.relname`)
	if err != nil {
		return nil, err
	}
	type table struct {
		name            string
		columns, madeUp []string
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t table, err error) {
		return t, row.Scan(&t.name, &t.columns, &t.madeUp)
	})
	if err != nil {
		return nil, err
	}
	var written []writtenTable
	for _, t := range tables {
		texts := make([]string, len(t.columns))
		for i, column := range t.columns {
			t.columns[i] = pgx.Identifier{column}.Sanitize()
			texts[i] = `t.` + t.columns[i] + `::text`
		}
		rows, err := conn.Query(ctx, `select array[`+strings.Join(texts, ", ")+`]::text[]
			  from `+t.name+` t where t.xmin = (select xmin from `+of+` where id = $1)`, id)
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[[]*string])
		if err != nil {
			return nil, fmt.Errorf("read rows of %s: %w", t.name, err)
		}
		for _, row := range found {
			values := make([]string, len(row))
			for i, text := range row {
				if values[i] = pgbenchLiteral(text); text != nil {
					values[i] = cmp.Or(t.madeUp[i], values[i])
				}
			}
			written = append(written, writtenTable{t.name, t.columns, values})
		}
	}
	return written, nil
}

// pgbenchLiteral quotes a value. pgbench takes a colon with a word behind it for a variable, also within quotes.
func pgbenchLiteral(text *string) string {
	if text == nil {
		return "null"
	}
	return `E'` + strings.NewReplacer(`\`, `\\`, `'`, `''`, `:`, `\x3a`, "\n", `\n`).Replace(*text) + `'`
}

var pgbenchRate = regexp.MustCompile(`(?m)^tps = (\d+\.\d+)`)

// floor is what pgbench did.
type floor struct {
	rate      float64       // a second
	p99       time.Duration // of a transaction
	processor time.Duration // of pgbench itself
}

// run has pgbench insert the rows so many times. It is not ok where pgbench is not installed.
func (f *benchFloor) run(ctx context.Context, many int) (did floor, ok bool, err error) {
	program, err := pgbench()
	if err != nil {
		return did, false, nil //nolint:nilerr // not being there is what ok says
	}
	folder, err := os.MkdirTemp("", "millrace-bench-floor-")
	if err != nil {
		return did, false, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	script, log := filepath.Join(folder, "script.sql"), filepath.Join(folder, "log")
	if err := os.WriteFile(script, []byte(f.script), 0o600); err != nil {
		return did, false, err
	}
	cfg, err := pgx.ParseConfig(f.database)
	if err != nil {
		return did, false, err
	}
	cmd := exec.CommandContext(ctx, program, "-n", "-M", "prepared", "-c", strconv.Itoa(benchClients), "-j", "2",
		"-t", strconv.Itoa(max(many/benchClients, 1)), "-f", script, "-l", "--log-prefix="+log, cfg.Database)
	cmd.Env = append(os.Environ(), "PGHOST="+cfg.Host, "PGPORT="+strconv.Itoa(int(cfg.Port)), "PGUSER="+cfg.User, "PGPASSWORD="+cfg.Password, "PGSSLMODE=disable")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return did, false, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	did.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	found := pgbenchRate.FindSubmatch(out)
	if found == nil {
		return did, false, fmt.Errorf("pgbench printed no rate: %s", out)
	}
	if did.rate, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
		return did, false, err
	}
	did.p99, err = loggedP99(log)
	return did, err == nil, err
}

// loggedP99 is that of the transactions in the logs of pgbench's threads: the third word of a line, in microseconds.
func loggedP99(prefix string) (time.Duration, error) {
	logs, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) < 3 {
				return 0, fmt.Errorf("pgbench logged %q", line)
			}
			microseconds, err := strconv.ParseInt(words[2], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("pgbench logged %q: %w", line, err)
			}
			took = append(took, time.Duration(microseconds)*time.Microsecond)
		}
	}
	if len(took) == 0 {
		return 0, errors.New("pgbench logged no transaction")
	}
	slices.Sort(took)
	return took[len(took)*99/100], nil
}

// pgbench is where the program is: beside the server's, or on the PATH.
func pgbench() (string, error) {
	if dir, ok := localpg.Find(); ok {
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			if found, err := exec.LookPath(filepath.Join(filepath.Dir(real), "pgbench")); err == nil {
				return found, nil
			}
		}
	}
	return exec.LookPath("pgbench")
}
