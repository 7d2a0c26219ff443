package health

import (
	"context"
	"fmt"
	"time"

	"millrace/migrations"
	"millrace/ops"
)

// readyWithin is the time that each part of the readiness has.
const readyWithin = 2 * time.Second

// Ready makes the registry of what has to be there for requests to be served.
func Ready(opts Options) *ops.Health {
	c := checks{opts}
	return ops.NewHealth(readyWithin,
		ops.Check{Name: "database", Run: c.ping},
		ops.Check{Name: "migrations", Run: c.migrations},
		ops.Check{Name: "vectors", Run: c.vectorsReady},
		ops.Check{Name: "embedder", Run: c.embedder},
	)
}

func (c checks) ping(ctx context.Context) (r ops.Report) {
	if err := c.Store.Ping(ctx); err != nil {
		return failed(r, err)
	}
	r.Raise(ops.StatusOK, "answers", "")
	return r
}

func (c checks) migrations(ctx context.Context) (r ops.Report) {
	current, err := migrations.Current(ctx, c.Store.Pool())
	switch {
	case err != nil:
		return failed(r, err)
	case !current:
		r.Raise(ops.StatusError, "the schema is older than this version", "Run: millrace migrate up.")
	}
	r.Raise(ops.StatusOK, "current", "")
	return r
}

func (c checks) vectorsReady(ctx context.Context) (r ops.Report) {
	if c.Vectors == nil {
		r.Raise(ops.StatusOK, "not used", "")
		return r
	}
	used, err := c.Store.Library.Collections(ctx)
	if err != nil {
		return failed(r, err)
	}
	for _, collection := range append(used, nothing) {
		if _, err := c.Vectors.Index.Info(ctx, collection); err != nil {
			r.Raise(ops.StatusError, err.Error(), "Is the vector index up, and does QDRANT_URL lead to it?")
		}
	}
	r.Raise(ops.StatusOK, "answers", "")
	return r
}

func (c checks) embedder(ctx context.Context) (r ops.Report) {
	if c.Embed == nil {
		r.Raise(ops.StatusOK, "not used", "")
		return r
	}
	if err := c.Embed(ctx); err != nil {
		r.Raise(ops.StatusError, fmt.Sprintf("does not embed: %v", err), "Is the embedder up, and is the model there?")
	}
	r.Raise(ops.StatusOK, "answers", "")
	return r
}
