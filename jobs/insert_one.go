package jobs

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
)

const (
	// riverInsert is how River's statement that inserts jobs begins.
	riverInsert = "-- name: JobInsertFastMany :many\n"
	// insertRow takes the parameters of River's statement for a single job that is not unique, and returns its columns but
	// for the last. River's is made for many: it unfolds thirteen arrays, and as it looks for what each job is a duplicate
	// of, it is an update too, which has the triggers of updates run and writes each row to the log twice.
	insertRow = riverInsert + `
	insert into river_job (id, args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags)
	values (coalesce(nullif($1::bigint, 0), nextval('river_job_id_seq'::regclass)), $2::jsonb,
	        coalesce(nullif($3::timestamptz, '0001-01-01 00:00:00 +0000'), now()), $4::text, $5::smallint, $6::jsonb, $7::smallint, $8::text,
	        coalesce(nullif($9::timestamptz, '0001-01-01 00:00:00 +0000'), now()), $10::text::river_job_state, string_to_array($11::text, ',')::varchar(255)[])
	returning id, args, attempt, attempted_at, attempted_by, created_at, errors, finalized_at, kind, max_attempts, metadata, priority,
	          queue, state, scheduled_at, tags, unique_key, unique_states, `
	// insertOne is a duplicate of none.
	insertOne = insertRow + `false`
	// insertOneHinting wakes as hintSQL does, and is a duplicate of none either.
	insertOneHinting = insertRow + `pg_notify(current_schema() || '.' || $12, $13) is null`
)

// alone reports whether the jobs are one that is not unique.
func alone(params *riverdriver.JobInsertFastManyParams) bool {
	return len(params.Jobs) == 1 && len(params.Jobs[0].UniqueKey) == 0 && params.Jobs[0].UniqueStates == 0 && params.Schema == ""
}

// insertingOne stands where River's insert of a job that is alone has its transaction, and has it run our statement instead.
// River makes the parameters and reads what is returned.
type insertingOne struct{ pgx.Tx }

// Query implements pgx.Tx.
func (t *insertingOne) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if strings.HasPrefix(sql, riverInsert) && len(args) == 13 {
		if one, ok := firstOfEach(args[:11]); ok {
			return t.Tx.Query(ctx, insertOne, one...)
		}
	}
	return t.Tx.Query(ctx, sql, args...)
}

// firstOfEach is what arrays begin with, or false where one is of a kind that River has only for other modes of pgx.
func firstOfEach(arrays []any) ([]any, bool) {
	firsts := make([]any, len(arrays))
	for i := range arrays {
		switch array := arrays[i].(type) {
		case []int64:
			firsts[i] = array[0]
		case []int16:
			firsts[i] = array[0]
		case []string:
			firsts[i] = array[0]
		case []time.Time:
			firsts[i] = array[0]
		case [][]byte:
			firsts[i] = string(array[0]) // JSON
		default:
			return nil, false
		}
	}
	return firsts, true
}
