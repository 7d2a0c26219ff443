package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/eventlog"
)

// State is whether a webhook delivers.
type State string

// The states of a webhook.
const (
	Active    State = "active"
	Paused    State = "paused"
	Dead      State = "dead" // its receiver failed for days
	StateGone State = "gone" // its receiver answered 410
)

// States lists them all.
func States() []State { return []State{Active, Paused, Dead, StateGone} }

// MostOfWorkspace is how many webhooks a workspace may have.
const MostOfWorkspace = 20

// ErrFull says that the workspace has as many webhooks as it may.
var ErrFull = errors.New("the workspace has as many webhooks as it may")

// Settings are what its owner chooses of a webhook.
type Settings struct {
	URL         string
	Description string
	Topics      []string // empty: all, as the three below
	Types       []string // whole, or up to a ".*" at the end
	Entity      string
	Label       string
}

// Webhook is a subscription and how it goes. Times are UTC.
type Webhook struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	Settings
	State           State
	OldUntil        *time.Time // until when the secret before signs too
	Attempts        int        // that failed in a row
	FailingSince    *time.Time
	RetryAt         *time.Time
	LastError       *string
	LastStatus      *int
	LastDeliveredAt *time.Time
	Delivered       int64
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// Store keeps webhooks. It is safe for concurrent use.
type Store struct {
	db  *store.DB
	log *eventlog.Store
}

// New makes a store of webhooks on the database.
func New(db *store.DB, log *eventlog.Store) *Store { return &Store{db: db, log: log} }

const columns = `
	id, workspace_id, url, description, topics, types, entity, label, state,
	case when old_until > clock_timestamp() then old_until end as old_until, attempts, failing_since, retry_at,
	last_error, last_status, last_delivered_at, delivered, created_at, updated_at`

var scanWebhook = pgx.RowToStructByName[Webhook]

// Render makes the response to a request that gave a webhook a secret, which nobody can read later.
type Render func(w Webhook, secret string) (store.Response, error)

// Create stores, in the transaction of the submission, a webhook whose deliveries begin with what happens from now on.
// It is ErrFull when the workspace has MostOfWorkspace.
func (s *Store) Create(ctx context.Context, sub store.Submission, settings Settings, keys Keyring, render Render) (store.Response, error) {
	bounds, err := s.log.Bounds(ctx)
	if err != nil {
		return store.Response{}, err
	}
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (resp store.Response, err error) {
		id, err := uuid.NewV7()
		if err != nil {
			return resp, fmt.Errorf("webhook id: %w", err)
		}
		secret, sealed, err := keys.newSecret(id)
		if err != nil {
			return resp, err
		}
		// One at a time, or two would each see room for one more.
		if err := store.Lock(ctx, tx, sub.Workspace); err != nil {
			return resp, err
		}
		var n int
		if err := tx.QueryRow(ctx, `select count(*) from webhooks where workspace_id = $1`, sub.Workspace).Scan(&n); err != nil {
			return resp, fmt.Errorf("count webhooks: %w", err)
		}
		if n >= MostOfWorkspace {
			return resp, ErrFull
		}
		w, err := store.ReadOne(ctx, tx, "webhook", scanWebhook, `
			insert into webhooks (id, workspace_id, url, description, topics, types, entity, label, secret, epoch, xid, event_id)
			select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, b.xid, greatest(b.id - 1, 0) from event_log_bound() b
			returning `+columns, id, sub.Workspace, settings.URL, settings.Description, list(settings.Topics), list(settings.Types),
			settings.Entity, settings.Label, sealed, bounds.Floor.Epoch)
		if err != nil {
			return resp, err
		}
		return render(w, secret)
	})
}

// list is never null.
func list(texts []string) []string { return append([]string{}, texts...) }

// Get reads a webhook of the workspace, or ErrNotFound.
func (s *Store) Get(ctx context.Context, workspace, id uuid.UUID) (w Webhook, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		w, err = get(ctx, tx, workspace, id)
		return err
	})
	return w, err
}

func get(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID) (Webhook, error) {
	return store.ReadOne(ctx, tx, "webhook "+id.String(), scanWebhook,
		`select `+columns+` from webhooks where id = $1 and workspace_id = $2`, id, workspace)
}

// List lists the workspace's webhooks, newest first, from after the page's place.
func (s *Store) List(ctx context.Context, workspace uuid.UUID, page store.Page, limit int) (all []Webhook, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		all, err = store.ReadAll(ctx, tx, "webhooks", scanWebhook, `
			select `+columns+` from webhooks
			 where workspace_id = $1 and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($2, $3))
			 order by created_at desc, id desc limit $4`, workspace, page.Before, page.BeforeID, limit)
		return err
	})
	return all, err
}

// Change stores the settings and the state of a webhook. Active and Paused can be chosen: one that becomes
// active continues where it was, at once, and counts its failures from zero.
func (s *Store) Change(ctx context.Context, workspace, id uuid.UUID, edit func(*Webhook) error) (w Webhook, err error) {
	err = s.db.Change(ctx, workspace, func(tx *store.Tx) error {
		// Behind the lock of a delivery's commit, and so is what is read.
		if err := store.Lock(ctx, tx, id); err != nil {
			return err
		}
		if w, err = get(ctx, tx, workspace, id); err != nil {
			return err
		}
		before, was := w.State, w.audited()
		if err := edit(&w); err != nil {
			return err
		}
		w, err = store.ReadOne(ctx, tx, "webhook "+id.String(), scanWebhook, `
			update webhooks set url = $3, description = $4, topics = $5, types = $6, entity = $7, label = $8, state = $9, updated_at = clock_timestamp(),
			       retry_at = case when $10 then null else retry_at end,
			       attempts = case when $10 then 0 else attempts end,
			       failing_since = case when $10 then null else failing_since end
			 where id = $1 and workspace_id = $2
			returning `+columns, id, workspace, w.URL, w.Description, list(w.Topics), list(w.Types), w.Entity, w.Label, w.State,
			w.State == Active && (before != Active || w.RetryAt != nil))
		store.AuditChange(ctx, was, w.audited())
		return err
	})
	return w, err
}

// audited is what the audit log keeps of a webhook; its address may hold a secret.
func (w *Webhook) audited() map[string]any {
	return map[string]any{"description": w.Description, "topics": w.Topics, "types": w.Types, "entity": w.Entity, "label": w.Label, "state": w.State}
}

// Delete deletes a webhook and its deliveries. What is being sent may still arrive.
func (s *Store) Delete(ctx context.Context, workspace, id uuid.UUID) error {
	return s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		tag, err := tx.Exec(ctx, `delete from webhooks where id = $1 and workspace_id = $2`, id, workspace)
		if err == nil && tag.RowsAffected() == 0 {
			err = store.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("delete webhook %s: %w", id, err)
		}
		return nil
	})
}

// Rotate gives a webhook a new secret, in the transaction of the submission; the one before signs too for as long
// as overlap says.
func (s *Store) Rotate(ctx context.Context, sub store.Submission, id uuid.UUID, overlap time.Duration, keys Keyring, render Render) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (resp store.Response, err error) {
		secret, sealed, err := keys.newSecret(id)
		if err != nil {
			return resp, err
		}
		w, err := store.ReadOne(ctx, tx, "webhook "+id.String(), scanWebhook, `
			update webhooks set secret = $3, updated_at = clock_timestamp(),
			       old_secret = case when $4::interval > interval '0' then secret end,
			       old_until = case when $4::interval > interval '0' then clock_timestamp() + $4::interval end
			 where id = $1 and workspace_id = $2
			returning `+columns, id, sub.Workspace, sealed, overlap)
		if err != nil {
			return resp, err
		}
		return render(w, secret)
	})
}
