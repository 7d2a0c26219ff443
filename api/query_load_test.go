package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/ops"
	"millrace/store/vector/qdranttest"
)

// whole is what an answer says that did without nothing.
const whole = "[] "

// crowd are clients that ask all the time. It counts what the answers say they did without, of those
// that were asked and answered within one phase of the test.
type crowd struct {
	*library
	expect uuid.UUID // the chunk that every answer has

	mu    sync.Mutex
	phase int
	said  map[string]int
	last  string // of the answers counted
	run   int    // how many in a row said so
}

// ask asks until ctx ends.
func (c *crowd) ask(ctx context.Context) error {
	for ctx.Err() == nil {
		c.mu.Lock()
		asked := c.phase
		c.mu.Unlock()
		start := time.Now()
		a, err := c.try(http.MethodPost, "/query", strings.NewReader(`{"question":"When is a crossover whipsawed?"}`), "Authorization", "Bearer "+c.key)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK || !strings.Contains(string(a.body), c.expect.String()) {
			return fmt.Errorf("%d: %s", a.status, a.body)
		}
		if took := time.Since(start); took > 10*time.Second {
			return fmt.Errorf("took %s", took)
		}
		var got queryAnswer
		if err := json.Unmarshal(a.body, &got); err != nil {
			return err
		}
		says := fmt.Sprint(got.Search.Lacking, " ")
		if got.ReasonCode != nil {
			says += *got.ReasonCode
		}
		if got.Degraded != (says != whole) {
			return fmt.Errorf("degraded: %v, and %s", got.Degraded, says)
		}
		c.mu.Lock()
		if asked == c.phase {
			c.said[says]++
			if says != c.last {
				c.last, c.run = says, 0
			}
			c.run++
		}
		c.mu.Unlock()
	}
	return nil
}

// inARow is how many answers say the same before a phase ends. The client of Qdrant has three connections,
// which it uses one after the other and which come back each on its own; none may be left behind in the phase before.
const inARow = 12

// until begins a phase, with begin, and waits for a row of answers that say so; none may say anything but
// that or what is allowed besides.
func (c *crowd) until(says string, begin func(), besides ...string) {
	c.t.Helper()
	c.mu.Lock()
	c.phase, c.said, c.run = c.phase+1, map[string]int{}, 0
	c.mu.Unlock()
	begin()
	var said map[string]int
	require.Eventually(c.t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		said = maps.Clone(c.said)
		return c.last == says && c.run >= inARow
	}, 20*time.Second, 5*time.Millisecond, "%s: %v", says, &said)
	for other := range said {
		require.True(c.t, other == says || slices.Contains(besides, other), "%s, not %s", other, says)
	}
}

// Under load Qdrant, the embedder and the language model are each killed in every way and come back.
// Every question is answered, none takes long, each lesser answer says what it did without and why,
// and the metrics count it.
func TestEverythingIsKilledUnderLoad(t *testing.T) {
	index, embeddings, models := qdranttest.New(t), providertest.New(t), providertest.New(t)
	l := newLibrary(t, inQdrant(index), embeddedBy(embeddings), func(p *knowledge.Parts, m *ops.Metrics) {
		llm, err := provider.NewOllamaLLM(provider.Endpoint{URL: models.URL, Model: "test"})
		require.NoError(t, err)
		short := limits
		short.Cooldown = 100 * time.Millisecond
		p.LLM = provider.NewLLM(llm, &m.Knowledge, short, nil)
	})
	_, chunks := l.put(l.alpha, crossovers)
	m := &l.metrics.Knowledge
	type outage struct {
		begin, end func()
		says       string
		counted    prometheus.Counter
	}
	var outages []outage
	killed := outage{index.Stop, func() { index.Restart(t) }, "[vectors_unreachable] ", m.QdrantErrors.WithLabelValues("search")}
	outages = append(outages, killed)
	for kind, fail := range map[string]func(ctx context.Context) error{
		"rate_limit": func(context.Context) error { return status.Error(codes.ResourceExhausted, "slow down") },
		"error":      func(context.Context) error { return qdranttest.ErrGarbage },
		"timeout":    func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		outages = append(outages, outage{
			func() { index.Fail(func(ctx context.Context, _ string) error { return fail(ctx) }) }, func() { index.Fail(nil) },
			"[vectors_" + kind + "] ", m.QdrantErrors.WithLabelValues("search"),
		})
	}
	for failure, kind := range map[providertest.Failure]string{
		providertest.Hanging: "timeout", providertest.RateLimited: "rate_limit", providertest.Broken: "error", providertest.Garbage: "error",
	} {
		outages = append(outages,
			outage{
				func() { embeddings.Fail(failure) }, func() { embeddings.Fail(providertest.None) },
				"[embedder_" + kind + "] ", m.EmbeddingRequests.WithLabelValues("ollama", kind),
			},
			outage{
				func() { models.Fail(failure) }, func() { models.Fail(providertest.None) },
				whole + "llm_" + kind, m.LLMRequests.WithLabelValues("ollama", "error", "llm_"+kind),
			})
	}
	c := &crowd{library: l, expect: chunks[1]}
	ctx, stop := context.WithCancel(t.Context())
	var clients errgroup.Group
	for range 4 {
		clients.Go(func() error { return c.ask(ctx) })
	}
	c.until(whole, func() {})
	for _, o := range outages {
		before := testutil.ToFloat64(o.counted)
		c.until(o.says, o.begin, whole) // a caller that was asking may have got through
		require.GreaterOrEqual(t, testutil.ToFloat64(o.counted), before+6, o.says)
		c.until(whole, o.end, o.says) // until the circuit closes
	}
	stop()
	require.NoError(t, clients.Wait())
	require.Positive(t, testutil.ToFloat64(m.EmbedErrors))
	require.Positive(t, testutil.ToFloat64(m.LLMTimeouts))
	require.Positive(t, testutil.ToFloat64(m.LLMErrors))
	for _, reason := range []knowledge.Reason{knowledge.ReasonTimeout, knowledge.ReasonRateLimit, knowledge.ReasonError} {
		require.GreaterOrEqual(t, testutil.ToFloat64(m.LLMDegraded.WithLabelValues(string(reason))), 6.0, reason)
	}
}
