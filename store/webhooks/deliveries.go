package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
)

// Kind is what a message is.
type Kind string

// The kinds of messages.
const (
	OfEvent Kind = "event"
	Reset   Kind = "reset" // events were lost to the receiver
	Test    Kind = "test"
)

// Kinds lists the kinds of a delivery.
func Kinds() []Kind { return []Kind{OfEvent, Reset, Test} }

// DeliveryStates lists the states of a delivery.
func DeliveryStates() []string { return []string{"pending", "delivered", "retrying", "failed"} }

// kept is how many deliveries of a webhook are listed: the newest.
const kept = 1000

// Message is what an attempt sends, without its body.
type Message struct {
	MessageID string // the header webhook-id: the same each time it is sent
	Kind      Kind
	Topic     string
	Type      string
	EntityID  string
	EventAt   time.Time
}

// Attempt is one attempt at a message that has ended.
type Attempt struct {
	Message
	OK     bool
	Status *int // of the answer; nil: there was none
	Error  *string
	Took   time.Duration
}

// Delivery is a message and how the attempts at it went.
type Delivery struct {
	Message
	Seq         int64
	State       string
	Attempts    int
	Status      *int
	Error       *string
	TookMS      *int `db:"took_ms"`
	AttemptedAt *time.Time
}

const deliveryColumns = `message_id, kind, topic, type, entity_id, event_at, seq, state, attempts, status, error, took_ms, attempted_at`

var scanDelivery = pgx.RowToStructByName[Delivery]

// record stores attempts and forgets the oldest.
func record(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID, attempts []Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	n := len(attempts)
	ids, kinds, topics, types, entities, ats := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]time.Time, n)
	states, statuses, faults, took := make([]string, n), make([]*int, n), make([]*string, n), make([]int, n)
	for i, a := range attempts {
		ids[i], kinds[i], topics[i], types[i], entities[i], ats[i] = a.MessageID, string(a.Kind), a.Topic, a.Type, a.EntityID, a.EventAt
		states[i], statuses[i], faults[i], took[i] = "delivered", a.Status, a.Error, int(a.Took.Milliseconds())
		if !a.OK {
			states[i] = "retrying"
		}
	}
	_, err := tx.Exec(ctx, `
		insert into webhook_deliveries (webhook_id, workspace_id, message_id, kind, topic, type, entity_id, event_at, state, attempts, status, error, took_ms, attempted_at)
		select $1, $2, a.id, a.kind, a.topic, a.type, a.entity, a.at, a.state, 1, a.status, a.fault, a.took, clock_timestamp()
		  from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[], $10::int[], $11::text[], $12::int[])
		       with ordinality a (id, kind, topic, type, entity, at, state, status, fault, took, n)
		 order by a.n
		on conflict (webhook_id, message_id) do update
		   set state = excluded.state, attempts = webhook_deliveries.attempts + 1, status = excluded.status, error = excluded.error,
		       took_ms = excluded.took_ms, attempted_at = excluded.attempted_at`,
		id, workspace, ids, kinds, topics, types, entities, ats, states, statuses, faults, took)
	if err != nil {
		return fmt.Errorf("record deliveries of webhook %s: %w", id, err)
	}
	_, err = tx.Exec(ctx, `
		delete from webhook_deliveries where webhook_id = $1
		   and seq <= (select seq from webhook_deliveries where webhook_id = $1 order by seq desc offset $2 limit 1)`, id, kept)
	if err != nil {
		return fmt.Errorf("forget deliveries of webhook %s: %w", id, err)
	}
	return nil
}

// Deliveries lists the deliveries of a webhook, newest first, before a place; 0: from the newest. A state that
// is not "" narrows them.
func (s *Store) Deliveries(ctx context.Context, workspace, id uuid.UUID, state string, before int64, limit int) (all []Delivery, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		if _, err := get(ctx, tx, workspace, id); err != nil {
			return err
		}
		all, err = store.ReadAll(ctx, tx, "deliveries", scanDelivery, `
			select `+deliveryColumns+` from webhook_deliveries
			 where webhook_id = $1 and workspace_id = $2 and ($3 = '' or state = $3) and ($4::bigint = 0 or seq < $4)
			 order by seq desc limit $5`, id, workspace, state, before, limit)
		return err
	})
	return all, err
}

// Delivery reads one delivery, or ErrNotFound.
func (s *Store) Delivery(ctx context.Context, workspace, id uuid.UUID, message string) (d Delivery, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		d, err = delivery(ctx, tx, workspace, id, message)
		return err
	})
	return d, err
}

func delivery(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID, message string) (Delivery, error) {
	return store.ReadOne(ctx, tx, "delivery "+message, scanDelivery, `
		select `+deliveryColumns+` from webhook_deliveries where webhook_id = $1 and workspace_id = $2 and message_id = $3`, id, workspace, message)
}

// SendTest stores a test message and the job that sends it, in the transaction of the submission.
func (s *Store) SendTest(ctx context.Context, sub store.Submission, id uuid.UUID, render func(Delivery) ([]byte, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (resp store.Response, err error) {
		if _, err := get(ctx, tx, sub.Workspace, id); err != nil {
			return resp, err
		}
		message, err := uuid.NewV7()
		if err != nil {
			return resp, fmt.Errorf("message id: %w", err)
		}
		d, err := store.ReadOne(ctx, tx, "delivery", scanDelivery, `
			insert into webhook_deliveries (webhook_id, workspace_id, message_id, kind, type, event_at, state)
			values ($1, $2, $3, 'test', 'webhook.test', clock_timestamp(), 'pending') returning `+deliveryColumns, id, sub.Workspace, "test_"+message.String())
		if err != nil {
			return resp, err
		}
		return s.send(ctx, tx, sub.Workspace, id, d, render)
	})
}

// Redeliver stores a job that sends a message again, by itself and whatever its webhook's state, in the
// transaction of the submission.
func (s *Store) Redeliver(ctx context.Context, sub store.Submission, id uuid.UUID, message string, render func(Delivery) ([]byte, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (resp store.Response, err error) {
		d, err := store.ReadOne(ctx, tx, "delivery "+message, scanDelivery, `
			update webhook_deliveries set state = 'pending' where webhook_id = $1 and workspace_id = $2 and message_id = $3
			returning `+deliveryColumns, id, sub.Workspace, message)
		if err != nil {
			return resp, err
		}
		return s.send(ctx, tx, sub.Workspace, id, d, render)
	})
}

func (s *Store) send(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID, d Delivery, render func(Delivery) ([]byte, error)) (resp store.Response, err error) {
	if _, err = s.db.River().InsertTx(ctx, tx, jobs.WebhookSendArgs{WorkspaceID: workspace, WebhookID: id, MessageID: d.MessageID}, nil); err != nil {
		return resp, fmt.Errorf("insert webhook job: %w", err)
	}
	store.AuditEntityOf(ctx, "", id.String())
	resp.Status = http.StatusAccepted
	resp.Body, err = render(d)
	return resp, err
}

// BeginSend reads a webhook, in any state, and the message that is to be sent.
func (s *Store) BeginSend(ctx context.Context, id uuid.UUID, message string, keys Keyring) (run Run, d Delivery, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		if run, err = s.begin(ctx, tx, id, keys); err != nil {
			return err
		}
		d, err = delivery(ctx, tx, run.WorkspaceID, id, message)
		return err
	})
	return run, d, err
}

// FinishSend records the attempt of a job that sends one message, under its lease, which completes the job unless
// another attempt is to follow.
func (s *Store) FinishSend(ctx context.Context, lease store.Lease, id uuid.UUID, a Attempt, again bool) error {
	state := "failed"
	switch {
	case a.OK:
		state = "delivered"
	case again:
		state = "retrying"
	}
	save := s.db.CompleteUnderLease
	if again {
		save = s.db.ContinueUnderLease
	}
	return save(ctx, lease, id, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			update webhook_deliveries set state = $4, attempts = attempts + 1, status = $5, error = $6, took_ms = $7, attempted_at = clock_timestamp()
			 where webhook_id = $1 and workspace_id = $2 and message_id = $3`,
			id, lease.Workspace, a.MessageID, state, a.Status, a.Error, a.Took.Milliseconds())
		if err != nil {
			return fmt.Errorf("record delivery %s: %w", a.MessageID, err)
		}
		return nil
	})
}
