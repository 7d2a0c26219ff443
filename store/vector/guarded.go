package vector

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/ops/guard"
)

// GuardOptions bound the calls to an index. Zero fields take their defaults.
type GuardOptions struct {
	SearchTimeout time.Duration // of one attempt; default 2 s
	WriteTimeout  time.Duration // of one attempt; default 30 s
	Cooldown      time.Duration // how long an index that keeps failing is left alone; default 2 s
}

// Guarded is an index whose calls are bounded in time, measured, tried again where that may help,
// and left out while the index keeps failing.
type Guarded struct {
	index   knowledge.VectorIndex
	metrics *ops.KnowledgeMetrics
	reads   *guard.Guard
	writes  *guard.Guard
}

// NewGuarded guards an index.
func NewGuarded(index knowledge.VectorIndex, metrics *ops.KnowledgeMetrics, opts GuardOptions) *Guarded {
	if opts.Cooldown == 0 {
		// Short, as an index that is back is to be asked again within five seconds.
		opts.Cooldown = 2 * time.Second
	}
	options := func(timeout, fallback time.Duration, attempts int) guard.Options {
		if timeout == 0 {
			timeout = fallback
		}
		return guard.Options{
			Timeout: timeout, Attempts: attempts, Cooldown: opts.Cooldown, Pause: 50 * time.Millisecond,
			Temporary: temporary, RetryAfter: retryAfter,
		}
	}
	return &Guarded{
		index: index, metrics: metrics,
		// A reader waits, and has the full text to fall back on; a job that writes has time.
		reads:  guard.New(options(opts.SearchTimeout, 2*time.Second, 2)),
		writes: guard.New(options(opts.WriteTimeout, 30*time.Second, 3)),
	}
}

func temporary(err error) bool { return knowledge.AsFault("vector index", err).Temporary() }

func retryAfter(err error) time.Duration { return knowledge.AsFault("vector index", err).RetryAfter }

// measured makes one guarded call and counts it.
func measured[R any](ctx context.Context, g *Guarded, op string, by *guard.Guard, call func(context.Context) (R, error)) (R, error) {
	start := time.Now()
	result, err := guard.Call(ctx, by, call)
	g.metrics.QdrantDuration.WithLabelValues(op).Observe(time.Since(start).Seconds())
	if err == nil {
		return result, nil
	}
	if !errors.Is(err, context.Canceled) {
		g.metrics.QdrantErrors.WithLabelValues(op).Inc()
	}
	return result, knowledge.AsFault("vector index", err)
}

func (g *Guarded) write(ctx context.Context, op string, call func(context.Context) error) error {
	_, err := measured(ctx, g, op, g.writes, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// Ensure implements knowledge.VectorIndex.
func (g *Guarded) Ensure(ctx context.Context, c knowledge.Collection) error {
	return g.write(ctx, "ensure", func(ctx context.Context) error { return g.index.Ensure(ctx, c) })
}

// Upsert implements knowledge.VectorIndex.
func (g *Guarded) Upsert(ctx context.Context, scope knowledge.Scope, points []knowledge.Point) error {
	return g.write(ctx, "upsert", func(ctx context.Context) error { return g.index.Upsert(ctx, scope, points) })
}

// DeleteRevisions implements knowledge.VectorIndex.
func (g *Guarded) DeleteRevisions(ctx context.Context, scope knowledge.Scope, document uuid.UUID, below int64) error {
	return g.write(ctx, "delete", func(ctx context.Context) error {
		return g.index.DeleteRevisions(ctx, scope, document, below)
	})
}

// DeleteWorkspace implements knowledge.VectorIndex.
func (g *Guarded) DeleteWorkspace(ctx context.Context, scope knowledge.Scope) error {
	return g.write(ctx, "delete", func(ctx context.Context) error { return g.index.DeleteWorkspace(ctx, scope) })
}

// Forget implements knowledge.VectorIndex.
func (g *Guarded) Forget(ctx context.Context, workspace uuid.UUID) error {
	return g.write(ctx, "forget", func(ctx context.Context) error { return g.index.Forget(ctx, workspace) })
}

// Search implements knowledge.VectorIndex.
func (g *Guarded) Search(ctx context.Context, scope knowledge.Scope, vector []float32, filter knowledge.Filter, limit int) ([]knowledge.Hit, error) {
	return measured(ctx, g, "search", g.reads, func(ctx context.Context) ([]knowledge.Hit, error) {
		return g.index.Search(ctx, scope, vector, filter, limit)
	})
}

// Count implements knowledge.VectorIndex.
func (g *Guarded) Count(ctx context.Context, scope knowledge.Scope) (int64, error) {
	return measured(ctx, g, "count", g.reads, func(ctx context.Context) (int64, error) { return g.index.Count(ctx, scope) })
}

// Info implements knowledge.VectorIndex. It also sets the gauge of the collection's vectors.
func (g *Guarded) Info(ctx context.Context, c knowledge.Collection) (knowledge.CollectionInfo, error) {
	info, err := measured(ctx, g, "info", g.reads, func(ctx context.Context) (knowledge.CollectionInfo, error) {
		return g.index.Info(ctx, c)
	})
	if err == nil {
		g.metrics.QdrantVectors.WithLabelValues(c.Name).Set(float64(info.Vectors))
	}
	return info, err
}
