package store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrCursorGone says that the log no longer holds everything after the cursor, or the cursor is of another
// log, so nothing can be resumed from it without a gap.
var ErrCursorGone = errors.New("cursor is older than the log, or of another one")

// Topics are what a subscriber can choose from.
func Topics() []string {
	return []string{"coverage", "backtests", "wfo", "ingestion", "retention", "jobs"}
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

// EventScope says whose events are read; a Workspace that is not valid reads the whole fleet's.
type EventScope struct {
	Workspace uuid.NullUUID
	Topics    []string // empty: all
}

// settled is the condition for reading: every transaction below the oldest one still running has
// ended, so that no event can appear later in a place already passed.
const settled = `xid < pg_snapshot_xmin(pg_current_snapshot())`

const (
	eventColumns = `xid, id, at, workspace_id, topic, type, entity_id, payload`

	// The bounds are read after the events: what was pruned before the events were read shows.
	boundsSQL = `
		select event_log_epoch(), floor_xid, pg_snapshot_xmin(pg_current_snapshot()) from event_epoch`
)

// Events reads at most limit settled events after a cursor, in order. A page shorter than limit
// ends at the log's end. It is ErrCursorGone when events after the cursor may be missing.
func (s *Store) Events(ctx context.Context, scope EventScope, after Cursor, limit int) ([]Event, error) {
	var events []Event
	read := func(tx pgx.Tx) error {
		var bounds EventBounds
		topics := append([]string{}, scope.Topics...)
		batch := &pgx.Batch{}
		// The workspace is named even though row-level security holds: so the index is used.
		where, args := ``, []any{after.XID, after.ID, limit, topics}
		if scope.Workspace.Valid {
			where, args = ` and workspace_id = $5`, append(args, scope.Workspace.UUID)
		}
		batch.Queue(`
			select `+eventColumns+` from event_log
			 where (xid, id) > ($1, $2) and `+settled+` and (cardinality($4::text[]) = 0 or topic = any ($4))`+where+`
			 order by xid, id limit $3`, args...).
			Query(func(rows pgx.Rows) (err error) {
				events, err = collectEvents(rows, after.Epoch)
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
		err := s.inWorkspace(ctx, scope.Workspace.UUID, read)
		return events, err
	}
	err := s.inFleet(ctx, read)
	return events, err
}

func collectEvents(rows pgx.Rows, epoch uint32) ([]Event, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Event, error) {
		e := Event{Cursor: Cursor{Epoch: epoch}}
		err := row.Scan(&e.Cursor.XID, &e.Cursor.ID, &e.At, &e.Workspace, &e.Topic, &e.Type, &e.EntityID, &e.Payload)
		return e, err
	})
}

// EventBounds are the places that can be resumed from: at or after Floor, of its epoch, and not
// yet to come.
type EventBounds struct {
	Floor   Cursor
	running uint64 // the oldest transaction still running
}

// EventBounds reads the bounds of the log.
func (s *Store) EventBounds(ctx context.Context) (EventBounds, error) {
	var b EventBounds
	if err := b.scan(s.pool.QueryRow(ctx, boundsSQL)); err != nil {
		return b, fmt.Errorf("read the event log's bounds: %w", err)
	}
	return b, nil
}

func (b *EventBounds) scan(row pgx.Row) error {
	var life string
	if err := row.Scan(&life, &b.Floor.XID, &b.running); err != nil {
		return err
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(life)) // a hash never fails
	b.Floor.Epoch = hash.Sum32()
	return nil
}

// Covers reports whether the log still holds everything after the cursor.
func (b EventBounds) Covers(c Cursor) bool {
	return c.Epoch == b.Floor.Epoch && c.XID >= b.Floor.XID && c.XID < b.running
}
