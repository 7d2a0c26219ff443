package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// AppendEvent adds an event to the workspace's stream; readers see it once tx has committed. Its
// place in the stream is given now, so events of one transaction are in the order of the calls.
func AppendEvent(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, topic, typ, entityID string, payload any) error {
	ctx, end := eventSpan(ctx, topic, typ, entityID)
	defer end()
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", typ, err)
	}
	_, err = tx.Exec(ctx, insertEvent, workspace, topic, typ, entityID, body)
	if err != nil {
		return fmt.Errorf("append event %s of %s: %w", typ, entityID, err)
	}
	return nil
}

// AppendEventLast is AppendEvent with the commit: its place is behind those of events that were appended before.
func AppendEventLast(tx *Tx, workspace uuid.UUID, topic, typ, entityID string, payload any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", typ, err)
	}
	tx.Last("append event "+typ+" of "+entityID, insertEvent, workspace, topic, typ, entityID, body)
	return nil
}

// QueueEvent is AppendEvent as a statement of a batch.
func QueueEvent(batch *pgx.Batch, workspace uuid.UUID, topic, typ, entityID string, payload any) {
	batch.Queue(insertEvent, workspace, topic, typ, entityID, payload)
}

const insertEvent = `
	insert into event_log (workspace_id, topic, type, entity_id, payload) values ($1, $2, $3, $4, $5)`

// eventSpan is the span of an event that is written, where the request or job that writes it has one.
func eventSpan(ctx context.Context, topic, typ, entityID string) (context.Context, func()) {
	within := trace.SpanFromContext(ctx)
	if !within.IsRecording() {
		return ctx, func() {}
	}
	ctx, span := within.TracerProvider().Tracer("millrace").Start(ctx, "event "+typ, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("millrace.topic", topic), attribute.String("millrace.entity_id", entityID)))
	return ctx, func() { span.End() }
}

type outsideBatch struct{}

// beforeBatch keeps the span that a batch is sent in, which is that of the request or job.
func beforeBatch(ctx context.Context) context.Context {
	return context.WithValue(ctx, outsideBatch{}, trace.SpanFromContext(ctx))
}

// batchedEventSpan is eventSpan of an event that a batch wrote. It stands beside the batch, where it would be had it been
// appended by itself; of any other statement it is none.
func batchedEventSpan(ctx context.Context, statement pgx.TraceBatchQueryData) (context.Context, func()) {
	outside, ok := ctx.Value(outsideBatch{}).(trace.Span)
	if !ok || statement.SQL != insertEvent || statement.Err != nil {
		return ctx, func() {}
	}
	topic, _ := statement.Args[1].(string)
	typ, _ := statement.Args[2].(string)
	entity, _ := statement.Args[3].(string)
	return eventSpan(trace.ContextWithSpan(ctx, outside), topic, typ, entity)
}
