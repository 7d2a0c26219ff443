package eventlog

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"millrace/store"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrCursorGone says that the log no longer holds everything after the cursor, or the cursor is of another
// log, so nothing can be resumed from it without a gap.
var ErrCursorGone = errors.New("cursor is older than the log, or of another one")

// Topics are what a subscriber can choose from.
func Topics() []string {
	return []string{"coverage", "backtests", "wfo", "ingestion", "retention", "schedules", "keys", "jobs"}
}

// Cursor is a place in the event log: after the event of that transaction and id. The epoch names
// the life of the log in which the place means something.
type Cursor struct {
	Epoch uint32
	XID   uint64
	ID    int64
}

// Before reports whether c comes before other in the log.
func (c Cursor) Before(other Cursor) bool {
	return c.XID < other.XID || c.XID == other.XID && c.ID < other.ID
}

// String is the opaque form that clients hold.
func (c Cursor) String() string {
	raw := make([]byte, 0, 20)
	raw = binary.BigEndian.AppendUint32(raw, c.Epoch)
	raw = binary.BigEndian.AppendUint64(raw, c.XID)
	raw = binary.BigEndian.AppendUint64(raw, uint64(c.ID))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// cursorLength is the length of every cursor's text.
const cursorLength = 27

// ParseCursor reads what String wrote, and nothing else.
func ParseCursor(text string) (Cursor, error) {
	bad := errors.New("not a cursor of this server")
	if len(text) != cursorLength {
		return Cursor{}, bad
	}
	var raw [20]byte
	// Strict still skips line breaks, which leave the text short of 20 bytes.
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(text))
	if err != nil || n != len(raw) || raw[4] > 0x7f || raw[12] > 0x7f {
		return Cursor{}, bad
	}
	return Cursor{
		Epoch: binary.BigEndian.Uint32(raw[:]),
		XID:   binary.BigEndian.Uint64(raw[4:]),
		ID:    int64(binary.BigEndian.Uint64(raw[12:])),
	}, nil
}

// Event is one entry of the log.
type Event struct {
	Cursor    Cursor
	At        time.Time
	Workspace uuid.NullUUID // not valid: the event belongs to the fleet
	Topic     string
	Type      string
	EntityID  string
	Payload   json.RawMessage
}

// Scope says whose events are read; a Workspace that is not valid reads the whole fleet's.
type Scope struct {
	Workspace uuid.NullUUID
	Topics    []string // empty: all
	Entity    string   // "": every entity's
}

// Holds reports whether an event of the scope's workspace is in the scope.
func (s Scope) Holds(e *Event) bool {
	return (len(s.Topics) == 0 || slices.Contains(s.Topics, e.Topic)) && (s.Entity == "" || s.Entity == e.EntityID)
}

// bound is a place in the log before which every row is there: no transaction that is still running
// can add one. See migrations/sql, event_log_bound.
type bound struct {
	xid uint64
	id  int64
}

// atLeastBehind is the bound or, if that is further, the place behind the cursor's row.
func (b bound) atLeastBehind(c Cursor) bound {
	row, _ := c.row()
	if c.XID > b.xid || c.XID == b.xid && row+1 > b.id {
		return bound{c.XID, row + 1}
	}
	return b
}

// querier is the part of a connection or a transaction that reads one row.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// readBound reads the bound. Only statements that begin afterwards see every row before it, so it is
// never part of the statement that reads the rows.
func readBound(ctx context.Context, db querier) (b bound, err error) {
	if err := db.QueryRow(ctx, `select xid, id from event_log_bound()`).Scan(&b.xid, &b.id); err != nil {
		return b, fmt.Errorf("read the event log's bound: %w", err)
	}
	return b, nil
}

// rowStep is what the ids of the log's rows lie apart. A row with job_ids is as many events, whose
// ids count up from its own.
const rowStep = 1 << 20

// eventPage reads the rows that hold the next events after a cursor: of $3 rows from the cursor's
// own on, those that begin before $4 events. %s is a further condition.
const eventPage = `
	select xid, id, at, workspace_id, topic, type, entity_id, job_ids, payload
	  from (select *, sum(n) over (order by xid, id rows unbounded preceding) - n as ahead
	          from (select *, coalesce(cardinality(job_ids), 1) as n from event_log
	                 where (xid, id) >= ($1, $2) and (xid, id) < ($5, $6) %s
	                 order by xid, id limit $3) next_rows) counted
	 where ahead < $4
	 order by xid, id`

// row is the id of the cursor's row, and passed is how many of the row's events are behind it at most.
func (c Cursor) row() (row, passed int64) {
	row = c.ID &^ (rowStep - 1)
	return row, c.ID - row + 1
}

// pageArgs are the arguments of eventPage, for limit events out of so many rows before the bound.
func (c Cursor) pageArgs(limit, rows int, b bound) []any {
	row, passed := c.row()
	return []any{c.XID, row, rows, int64(limit) + passed, b.xid, b.id}
}

// boundsSQL is run after events were read, so that what was pruned before shows.
const boundsSQL = `
	select event_log_epoch(), floor_xid, pg_snapshot_xmax(pg_current_snapshot()) from event_epoch`

// Events reads at most limit readable events after a cursor, in order. A page shorter than limit
// ends at the log's end. It is ErrCursorGone when events after the cursor may be missing.
func (s *Store) Events(ctx context.Context, scope Scope, after Cursor, limit int) ([]Event, error) {
	return s.EventsThrough(ctx, scope, after, Cursor{}, limit)
}

// EventsThrough reads as Events does, and not less far than to a place that some reader has come to. The end of
// the log can lie before that for a while: a transaction that is older than the place, and has only now written its
// first event, holds readers up from its own id on, though its events come behind the place.
func (s *Store) EventsThrough(ctx context.Context, scope Scope, after, through Cursor, limit int) ([]Event, error) {
	var events []Event
	read := func(tx *store.Tx) error {
		bound, err := readBound(ctx, tx)
		if err != nil {
			return err
		}
		if through.Epoch == after.Epoch {
			bound = bound.atLeastBehind(through)
		}
		var bounds Bounds
		batch := &pgx.Batch{}
		// The workspace is named even though row-level security holds: so the index is used. One row
		// more than events, as the cursor's own may have none left to give.
		where := `and (cardinality($7::text[]) = 0 or topic = any ($7))`
		args := append(after.pageArgs(limit, limit+1, bound), append([]string{}, scope.Topics...))
		if scope.Workspace.Valid {
			where, args = where+` and workspace_id = $8`, append(args, scope.Workspace.UUID)
		}
		if scope.Entity != "" {
			where, args = where+fmt.Sprintf(` and entity_id = $%d`, len(args)+1), append(args, scope.Entity)
		}
		batch.Queue(fmt.Sprintf(eventPage, where), args...).Query(func(rows pgx.Rows) (err error) {
			events, _, err = collectEvents(rows, nil, after, limit)
			return err
		})
		batch.Queue(boundsSQL).QueryRow(bounds.scan)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if !bounds.Covers(after) {
			events = nil
			return fmt.Errorf("read events: %w", ErrCursorGone)
		}
		return nil
	}
	if scope.Workspace.Valid {
		err := s.db.InWorkspace(ctx, scope.Workspace.UUID, read)
		return events, err
	}
	err := s.db.InFleet(ctx, read)
	return events, err
}

// collectEvents reads the events after a cursor, at most limit, out of rows from the cursor's on. It appends them to what it
// is given.
func collectEvents(rows pgx.Rows, to []Event, after Cursor, limit int) (events []Event, read int, err error) {
	events = to
	var row Event
	var entity *string
	var jobs []int64
	_, err = pgx.ForEachRow(rows, []any{&row.Cursor.XID, &row.Cursor.ID, &row.At, &row.Workspace, &row.Topic, &row.Type,
		&entity, &jobs, &row.Payload}, func() error {
		read++
		row.Cursor.Epoch = after.Epoch
		if entity != nil {
			row.EntityID = *entity
			if len(events) < limit && after.Before(row.Cursor) {
				events = append(events, row)
			}
		}
		events = row.appendJobs(events, jobs, after, limit)
		row.Payload = nil // the events have it; the next row gets bytes of its own
		return nil
	})
	return events, read, err
}

// appendJobs appends the events that a row has for its jobs. Their ids are written into one string: a fleet has tens of
// thousands a second.
func (e Event) appendJobs(to []Event, jobs []int64, after Cursor, limit int) []Event {
	if e.Cursor.XID == after.XID && e.Cursor.ID <= after.ID {
		passed := min(after.ID-e.Cursor.ID+1, int64(len(jobs)))
		jobs, e.Cursor.ID = jobs[passed:], e.Cursor.ID+passed
	}
	if jobs = jobs[:min(len(jobs), limit-len(to))]; len(jobs) == 0 || !after.Before(e.Cursor) {
		return to
	}
	var digits []byte
	ends := make([]int, len(jobs))
	for i, job := range jobs {
		digits = strconv.AppendInt(digits, job, 10)
		ends[i] = len(digits)
	}
	ids, begin := string(digits), 0
	to = slices.Grow(to, len(jobs))
	for _, end := range ends {
		e.EntityID = ids[begin:end]
		to = append(to, e)
		e.Cursor.ID++
		begin = end
	}
	return to
}

// Bounds are the places that can be resumed from: at or after Floor, of its epoch, and not
// yet to come.
type Bounds struct {
	Floor Cursor
	next  uint64 // no transaction from this one on has completed
}

// Bounds reads the bounds of the log.
func (s *Store) Bounds(ctx context.Context) (Bounds, error) {
	var b Bounds
	if err := b.scan(s.db.Pool().QueryRow(ctx, boundsSQL)); err != nil {
		return b, fmt.Errorf("read the event log's bounds: %w", err)
	}
	return b, nil
}

func (b *Bounds) scan(row pgx.Row) error {
	var life string
	if err := row.Scan(&life, &b.Floor.XID, &b.next); err != nil {
		return err
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(life)) // a hash never fails
	b.Floor.Epoch = hash.Sum32()
	return nil
}

// Covers reports whether the log still holds everything after the cursor.
func (b Bounds) Covers(c Cursor) bool {
	return c.Epoch == b.Floor.Epoch && c.XID >= b.Floor.XID && c.XID < b.next
}
