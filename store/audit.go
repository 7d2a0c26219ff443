package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// AuditEntry is what the audit log keeps of one mutation: never a secret, and no script.
type AuditEntry struct {
	Actor     AuditActor  `json:"actor"`
	Route     string      `json:"route"` // method and template
	Entity    AuditEntity `json:"entity"`
	From      string      `json:"from"` // the caller's address
	RequestID string      `json:"request_id"`
	Outcome   string      `json:"outcome"` // ok, or refused of a sign-in
	Before    any         `json:"before,omitempty"`
	After     any         `json:"after,omitempty"`
}

// AuditActor is who did it.
type AuditActor struct {
	Kind    string `json:"kind"`           // key, admin or nobody
	ID      string `json:"id,omitempty"`   // of the key or of the admin's token
	Name    string `json:"name,omitempty"` // of the key or the admin
	Role    string `json:"role,omitempty"` // of the key
	Console bool   `json:"console,omitempty"`
}

// AuditEntity is what was changed.
type AuditEntity struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Audit is the entry that a request leaves: the first of its transactions that commits a change writes it,
// as its last statement. It is safe for concurrent use.
type Audit struct {
	mu        sync.Mutex
	workspace uuid.UUID // whose chain a transaction of the fleet writes to; uuid.Nil: the server's
	entry     AuditEntry
	submits   bool // Submit's transaction writes it, and no other
	written   bool
}

// NewAudit returns what a request is going to leave.
func NewAudit(workspace uuid.UUID, entry AuditEntry) *Audit {
	return &Audit{workspace: workspace, entry: entry}
}

// OfSubmission has the entry be written by Submit alone, whose transaction is the change: what the request reads
// and prepares around it is not asked whether it changed anything.
func (a *Audit) OfSubmission() *Audit {
	a.submits = true
	return a
}

type auditKey struct{}

// submitting has the transaction of Submit write the entry.
func submitting(ctx context.Context) context.Context {
	if a := auditOf(ctx); a != nil && a.submits {
		return context.WithValue(ctx, submitKey{}, true)
	}
	return ctx
}

type submitKey struct{}

// due is the entry that a transaction of the context is to write, if any.
func due(ctx context.Context) *Audit {
	a := auditOf(ctx)
	if a == nil || a.done() || a.submits && ctx.Value(submitKey{}) == nil {
		return nil
	}
	return a
}

// WithAudit has the transactions of a context leave an entry.
func WithAudit(ctx context.Context, a *Audit) context.Context {
	return context.WithValue(ctx, auditKey{}, a)
}

// WithoutAudit is for transactions that prepare a change and are not the change.
func WithoutAudit(ctx context.Context) context.Context {
	return context.WithValue(ctx, auditKey{}, (*Audit)(nil))
}

func auditOf(ctx context.Context) *Audit {
	a, _ := ctx.Value(auditKey{}).(*Audit)
	return a
}

// AuditEntityOf says what the request of the context changes, unless that is known.
func AuditEntityOf(ctx context.Context, kind, id string) {
	if a := auditOf(ctx); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.entry.Entity.Type == "" {
			a.entry.Entity.Type = kind
		}
		if a.entry.Entity.ID == "" {
			a.entry.Entity.ID = id
		}
	}
}

// AuditChange says what was before and is after, in few words; nil is left out.
func AuditChange(ctx context.Context, before, after any) {
	if a := auditOf(ctx); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.entry.Before, a.entry.After = before, after
	}
}

// AuditIn says whose chain a change of the fleet belongs to.
func AuditIn(ctx context.Context, workspace uuid.UUID) {
	if a := auditOf(ctx); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.workspace = workspace
	}
}

// auditAgain returns what has the entry say again what it says now: what a transaction that was undone had made is not there,
// and has another id when it is made again.
func auditAgain(ctx context.Context) (forget func()) {
	a := auditOf(ctx)
	if a == nil {
		return func() {}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	workspace, entry := a.workspace, a.entry
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.workspace, a.entry = workspace, entry
	}
}

// commitAudited commits a transaction together with its entry, in one round trip with the statements of batch before
// them; without changes it leaves none. What is sent is the whole transaction, or ends it. When the entry cannot be written nothing is committed: ErrAudit.
func (a *Audit) commitAudited(ctx context.Context, conn *pgxpool.Conn, workspace uuid.UUID, batch *pgx.Batch, whole bool) error {
	a.mu.Lock()
	if workspace == uuid.Nil {
		workspace = a.workspace
	}
	entry, err := json.Marshal(a.entry)
	a.mu.Unlock()
	if err != nil {
		return fmt.Errorf("encode audit entry: %w", err)
	}
	wrote := false
	var refused error
	batch.Queue(appendEntry+` where pg_current_xact_id_if_assigned() is not null`, workspace, entry, entryHash(workspace, entry)).
		Fn = func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		refused, wrote = unwritable(err), tag.RowsAffected() > 0
		return err
	}
	if !whole {
		batch.Queue(`commit`)
	}
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		if refused == nil && strings.Contains(err.Error(), "audit_unsealed") { // before anything ran
			refused = unwritable(err)
		}
		return cmp.Or(refused, fmt.Errorf("commit: %w", err))
	}
	if wrote {
		a.mu.Lock()
		a.written = true
		a.mu.Unlock()
	}
	return nil
}

func (a *Audit) done() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.written
}

// Note writes an entry by itself, about what changes nothing else: a refused sign-in.
func (s *DB) Note(ctx context.Context, workspace uuid.UUID, entry AuditEntry) error {
	raw, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("encode audit entry: %w", err)
	}
	err = s.InFleet(WithoutAudit(ctx), func(tx *Tx) error {
		_, err := tx.Exec(ctx, appendEntry, workspace, raw, entryHash(workspace, raw))
		return err
	})
	return cmp.Or(unwritable(err), err)
}

// appendEntry adds an entry to a workspace's chain, for sealing to take in. It says no more than the application has a
// right to: the entry's time and its place are the database's.
const appendEntry = `insert into audit_unsealed (workspace_id, entry, hash) select $1::uuid, $2::text, $3::bytea`

// entryHash is by which an entry that is changed before it is sealed shows.
func entryHash(workspace uuid.UUID, entry []byte) []byte {
	sum := sha256.Sum256(append(workspace[:], entry...))
	return sum[:]
}

// unwritable is ErrAudit when Postgres refused an entry, and else nil.
func unwritable(err error) error {
	if SQLState(err) == "" {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrAudit, err)
}
