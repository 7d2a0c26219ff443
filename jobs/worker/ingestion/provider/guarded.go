package provider

import (
	"context"
	"errors"
	"time"

	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/ops/guard"
)

// GuardOptions bound the calls to a provider. Zero fields take their defaults.
type GuardOptions struct {
	EmbedTimeout  time.Duration // of one attempt to embed passages, in a job; default 30 s
	QueryTimeout  time.Duration // of the one attempt to embed a question; default 2 s
	LLMTimeout    time.Duration // of the one attempt to complete; default 15 s
	RerankTimeout time.Duration // of the one attempt to rerank; default 2 s
	Cooldown      time.Duration // how long a provider that keeps failing is left alone; default 10 s
}

func (o *GuardOptions) fill() {
	for field, value := range map[*time.Duration]time.Duration{
		&o.EmbedTimeout: 30 * time.Second, &o.QueryTimeout: 2 * time.Second, &o.LLMTimeout: 15 * time.Second,
		&o.RerankTimeout: 2 * time.Second, &o.Cooldown: 10 * time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
}

func newGuard(part string, timeout time.Duration, attempts int, cooldown time.Duration) *guard.Guard {
	return guard.New(guard.Options{
		Timeout: timeout, Attempts: attempts, Cooldown: cooldown, MostWait: 5 * time.Second,
		Temporary:  func(err error) bool { return knowledge.AsFault(part, err).Temporary() },
		RetryAfter: func(err error) time.Duration { return knowledge.AsFault(part, err).RetryAfter },
	})
}

// Embedder guards and measures an embedder.
type Embedder struct {
	embedder  knowledge.Embedder
	part      string
	metrics   *ops.KnowledgeMetrics
	passages  *guard.Guard
	questions *guard.Guard
}

// NewEmbedder guards an embedder.
func NewEmbedder(embedder knowledge.Embedder, metrics *ops.KnowledgeMetrics, opts GuardOptions) *Embedder {
	opts.fill()
	part := "embedder " + embedder.Model().Provider
	return &Embedder{
		embedder: embedder, part: part, metrics: metrics,
		passages:  newGuard(part, opts.EmbedTimeout, 3, opts.Cooldown),
		questions: newGuard(part, opts.QueryTimeout, 1, opts.Cooldown),
	}
}

// Model implements knowledge.Embedder.
func (e *Embedder) Model() knowledge.Model { return e.embedder.Model() }

// Embed implements knowledge.Embedder. Passages go in batches, each with its own attempts, so that
// a failure does not throw away what was done before it.
func (e *Embedder) Embed(ctx context.Context, use knowledge.Use, texts []string) ([][]float32, error) {
	by := e.passages
	if use == knowledge.ForQuery {
		by = e.questions
	}
	vectors := make([][]float32, 0, len(texts))
	for len(vectors) < len(texts) {
		batch := texts[len(vectors):min(len(texts), len(vectors)+batchTexts)]
		start := time.Now()
		found, err := guard.Call(ctx, by, func(ctx context.Context) ([][]float32, error) {
			return e.embedder.Embed(ctx, use, batch)
		})
		provider, status := e.Model().Provider, "ok"
		e.metrics.EmbeddingDuration.WithLabelValues(provider).Observe(time.Since(start).Seconds())
		if fault := knowledge.AsFault(e.part, err); fault != nil {
			e.metrics.EmbeddingRequests.WithLabelValues(provider, string(fault.Kind)).Inc()
			return nil, fault
		}
		e.metrics.EmbeddingRequests.WithLabelValues(provider, status).Inc()
		vectors = append(vectors, found...)
	}
	return vectors, nil
}

// LLM guards and measures a language model. It makes one attempt: the caller is waiting, and has
// an answer without it.
type LLM struct {
	llm     knowledge.LLM
	part    string
	metrics *ops.KnowledgeMetrics
	record  func(ctx context.Context, provider, model string, reason knowledge.Reason)
	by      *guard.Guard
}

// NewLLM guards a language model, or stands for none when llm is nil. record gets every call
// and may be nil.
func NewLLM(llm knowledge.LLM, metrics *ops.KnowledgeMetrics, opts GuardOptions,
	record func(ctx context.Context, provider, model string, reason knowledge.Reason),
) *LLM {
	opts.fill()
	if llm == nil {
		llm = noLLM{}
	}
	if record == nil {
		record = func(context.Context, string, string, knowledge.Reason) {}
	}
	part := "llm " + llm.Provider()
	return &LLM{
		llm: llm, part: part, metrics: metrics, record: record,
		by: newGuard(part, opts.LLMTimeout, 1, opts.Cooldown),
	}
}

// Provider implements knowledge.LLM.
func (l *LLM) Provider() string { return l.llm.Provider() }

// Model implements knowledge.LLM.
func (l *LLM) Model() string { return l.llm.Model() }

// Complete implements knowledge.LLM.
func (l *LLM) Complete(ctx context.Context, messages []knowledge.Message, maxTokens int) (knowledge.Completion, error) {
	start := time.Now()
	done, err := guard.Call(ctx, l.by, func(ctx context.Context) (knowledge.Completion, error) {
		return l.llm.Complete(ctx, messages, maxTokens)
	})
	if errors.Is(err, context.Canceled) {
		return done, knowledge.AsFault(l.part, err) // the caller is gone, which says nothing of the provider
	}
	fault := knowledge.AsFault(l.part, err)
	reason, status := knowledge.Reason(""), "ok"
	if fault != nil {
		reason, status = knowledge.ReasonOf(fault), "error"
	}
	l.metrics.LLMRequests.WithLabelValues(l.Provider(), status, string(reason)).Inc()
	l.metrics.LLMDuration.WithLabelValues(l.Provider()).Observe(time.Since(start).Seconds())
	l.record(ctx, l.Provider(), l.Model(), reason)
	if fault == nil {
		return done, nil
	}
	switch reason {
	case knowledge.ReasonTimeout:
		l.metrics.LLMTimeouts.Inc()
	case knowledge.ReasonUnconfigured:
	default:
		l.metrics.LLMErrors.Inc()
	}
	return done, fault
}

// noLLM stands for a language model where none is set up.
type noLLM struct{}

// Provider implements knowledge.LLM.
func (noLLM) Provider() string { return "none" }

// Model implements knowledge.LLM.
func (noLLM) Model() string { return "none" }

// Complete implements knowledge.LLM.
func (noLLM) Complete(context.Context, []knowledge.Message, int) (knowledge.Completion, error) {
	return knowledge.Completion{}, &knowledge.Fault{Kind: knowledge.FaultUnconfigured, Part: "llm"}
}

const rerankerPart = "reranker"

// Reranker guards a reranker.
type Reranker struct {
	reranker knowledge.Reranker
	by       *guard.Guard
}

// NewGuardedReranker guards a reranker.
func NewGuardedReranker(reranker knowledge.Reranker, opts GuardOptions) *Reranker {
	opts.fill()
	return &Reranker{reranker: reranker, by: newGuard(rerankerPart, opts.RerankTimeout, 1, opts.Cooldown)}
}

// Rerank implements knowledge.Reranker.
func (r *Reranker) Rerank(ctx context.Context, query string, texts []string) ([]float64, error) {
	scores, err := guard.Call(ctx, r.by, func(ctx context.Context) ([]float64, error) {
		return r.reranker.Rerank(ctx, query, texts)
	})
	if fault := knowledge.AsFault(rerankerPart, err); fault != nil {
		return nil, fault
	}
	return scores, nil
}
