package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Members of a job's metadata that name the request which caused it.
const (
	originTrace   = "traceparent" // as W3C Trace Context writes it
	originRequest = "request_id"
)

type originKey struct{}

// Origins has a job's metadata name the request that caused the job, and the request's span. What a job
// inserts has the job's own origin, so that all jobs of a tune are children of the request that
// submitted it, however many steps lie between. Arguments, which are compared and hashed, stay as they are.
type Origins struct{}

// IsMiddleware implements rivertype.Middleware.
func (Origins) IsMiddleware() bool { return true }

// InsertMany implements rivertype.JobInsertMiddleware.
func (Origins) InsertMany(ctx context.Context, many []*rivertype.JobInsertParams,
	insert func(context.Context) ([]*rivertype.JobInsertResult, error),
) ([]*rivertype.JobInsertResult, error) {
	parent, request := originOf(ctx)
	if parent == "" && request == "" {
		return insert(ctx)
	}
	for _, job := range many {
		metadata, err := withOrigin(job.Metadata, parent, request)
		if err != nil {
			return nil, fmt.Errorf("metadata of a job %s: %w", job.Kind, err)
		}
		job.Metadata = metadata
	}
	return insert(ctx)
}

// originOf is the origin of what a context inserts: that of its job, or else its own request.
func originOf(ctx context.Context) (parent, request string) {
	known, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	for _, a := range known {
		if a.Key == originRequest {
			request = a.Value.String()
		}
	}
	if parent, _ = ctx.Value(originKey{}).(string); parent == "" {
		if at := trace.SpanContextFromContext(ctx); at.IsValid() {
			parent = fmt.Sprintf("00-%s-%s-%s", at.TraceID(), at.SpanID(), at.TraceFlags())
		}
	}
	return parent, request
}

func withOrigin(metadata []byte, parent, request string) ([]byte, error) {
	members := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(metadata)) > 0 {
		if err := json.Unmarshal(metadata, &members); err != nil {
			return nil, err
		}
	}
	for name, value := range map[string]string{originTrace: parent, originRequest: request} {
		if value == "" {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		members[name] = text
	}
	return json.Marshal(members)
}

// OfJob returns a context that continues the trace which a job's metadata names, and whose log lines name
// its request. Metadata without an origin, or with one that cannot be read, leaves ctx as it is.
func OfJob(ctx context.Context, metadata []byte) context.Context {
	if !bytes.Contains(metadata, []byte(originTrace)) && !bytes.Contains(metadata, []byte(originRequest)) {
		return ctx
	}
	var origin struct {
		Traceparent string `json:"traceparent"`
		RequestID   string `json:"request_id"`
	}
	if json.Unmarshal(metadata, &origin) != nil {
		return ctx
	}
	if origin.RequestID != "" {
		ctx = With(ctx, slog.String(originRequest, origin.RequestID))
	}
	if joined, ok := join(ctx, origin.Traceparent); ok {
		ctx = context.WithValue(joined, originKey{}, origin.Traceparent)
	}
	return ctx
}

// Join returns a context whose next span continues a caller's trace: the traceparent of its request. Where
// no traces are exported, and of one that is not valid, it is ctx.
func (r *Reporter) Join(ctx context.Context, traceparent string) context.Context {
	if r == nil || r.tracer == nil || traceparent == "" || trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	ctx, _ = join(ctx, traceparent)
	return ctx
}

// join reads a traceparent alone: a tracestate may hold anything its sender likes.
func join(ctx context.Context, traceparent string) (context.Context, bool) {
	if traceparent == "" {
		return ctx, false
	}
	joined := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{originTrace: traceparent})
	return joined, trace.SpanContextFromContext(joined).IsRemote()
}
