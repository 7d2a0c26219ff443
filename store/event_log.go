package store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

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
	raw := binary.BigEndian.AppendUint32(nil, c.Epoch)
	raw = binary.BigEndian.AppendUint64(raw, c.XID)
	raw = binary.BigEndian.AppendUint64(raw, uint64(c.ID))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseCursor reads what String wrote.
func ParseCursor(text string) (Cursor, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 20 || raw[4] > 0x7f || raw[12] > 0x7f {
		return Cursor{}, errors.New("not a cursor of this server")
	}
	return Cursor{
		Epoch: binary.BigEndian.Uint32(raw),
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

// Events reads at most limit settled events after a cursor and, unless upTo is zero, not beyond it.
func (s *Store) Events(ctx context.Context, scope EventScope, after, upTo Cursor, limit int) ([]Event, error) {
	if upTo == (Cursor{}) {
		upTo = Cursor{XID: math.MaxInt64, ID: math.MaxInt64}
	}
	var events []Event
	read := func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select xid::text::bigint, id, at, workspace_id, topic, type, entity_id, payload from event_log
			 where (xid, id) > ($1::text::xid8, $2) and (xid, id) <= ($3::text::xid8, $4) and `+settled+`
			   and ($5::uuid is null or workspace_id = $5)
			   and (cardinality($6::text[]) = 0 or topic = any ($6))
			 order by xid, id limit $7`,
			fmt.Sprint(after.XID), after.ID, fmt.Sprint(upTo.XID), upTo.ID,
			scope.Workspace, append([]string{}, scope.Topics...), limit)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Event, error) {
			e := Event{Cursor: Cursor{Epoch: after.Epoch}}
			err := row.Scan(&e.Cursor.XID, &e.Cursor.ID, &e.At, &e.Workspace, &e.Topic, &e.Type, &e.EntityID, &e.Payload)
			return e, err
		})
		if err != nil {
			return fmt.Errorf("read events: %w", err)
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

// EventBounds are the log's ends: a cursor before Floor has lost events, and one of another epoch
// means nothing. Tail is after every settled event.
type EventBounds struct{ Floor, Tail Cursor }

// EventBounds reads the ends of the log.
func (s *Store) EventBounds(ctx context.Context) (EventBounds, error) {
	var b EventBounds
	var epoch string
	err := s.pool.QueryRow(ctx, `
		select event_log_epoch(), floor_xid::text::bigint, pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1
		  from event_epoch`).Scan(&epoch, &b.Floor.XID, &b.Tail.XID)
	if err != nil {
		return b, fmt.Errorf("read the event log's bounds: %w", err)
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(epoch)) // a hash never fails
	b.Floor.Epoch, b.Tail.Epoch = sum.Sum32(), sum.Sum32()
	b.Tail.ID = math.MaxInt64
	return b, nil
}

// Covers reports whether the log still holds everything after the cursor.
func (b EventBounds) Covers(c Cursor) bool {
	return c.Epoch == b.Tail.Epoch && c.XID >= b.Floor.XID && c.XID <= b.Tail.XID
}

// NewestEvent is the cursor of the last settled event after the given one; ok is false when there
// is none.
func (s *Store) NewestEvent(ctx context.Context, after Cursor) (newest Cursor, ok bool, err error) {
	err = s.inFleet(ctx, func(tx pgx.Tx) error {
		newest.Epoch = after.Epoch
		err := tx.QueryRow(ctx, `
			select xid::text::bigint, id from event_log
			 where (xid, id) > ($1::text::xid8, $2) and `+settled+`
			 order by xid desc, id desc limit 1`, fmt.Sprint(after.XID), after.ID).Scan(&newest.XID, &newest.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		ok = err == nil
		return err
	})
	if err != nil {
		return after, false, fmt.Errorf("look for new events: %w", err)
	}
	return newest, ok, nil
}
