package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/ops"
)

// The canaries: what has to hold in every deployment, from outside. TestRetentionDryRun is the fourth.

// Clients that give up and retry, at once and again later, make one tune, and each gets its answer.
func TestIdempotencyConcurrentRetry(t *testing.T) {
	r := newFixture(t).withSample()
	headers := []string{"Authorization", "Bearer " + r.key, "X-Idempotency-Key", "canary"}
	answers := make(chan answer, 40)
	var group errgroup.Group
	for i := range cap(answers) {
		group.Go(func() error {
			if i%4 == 0 { // this one hears nothing of its first try
				req, err := http.NewRequest(http.MethodPost, r.url+"/backtests/tune", strings.NewReader(smallTune))
				if err != nil {
					return err
				}
				for j := 0; j < len(headers); j += 2 {
					req.Header.Set(headers[j], headers[j+1])
				}
				impatient, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
				defer cancel()
				if resp, err := http.DefaultClient.Do(req.WithContext(impatient)); err == nil {
					_ = resp.Body.Close()
				}
			}
			a, err := r.try(http.MethodPost, "/backtests/tune", strings.NewReader(smallTune), headers...)
			answers <- a
			return err
		})
	}
	require.NoError(t, group.Wait())
	first := <-answers
	for range cap(answers) - 1 {
		a := <-answers
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		require.Equal(t, string(first.body), string(a.body))
	}
	require.Equal(t, 1, r.count(`select count(*) from tunes`))
	require.Equal(t, 1, r.count(`select count(*) from river_job where kind = 'tune.plan'`))

	r.startWorker()
	require.Eventually(t, func() bool {
		return into[struct{ Status string }](t, r.do(http.MethodGet, first.header.Get("Location"), "")).Status == "completed"
	}, 20*time.Second, 20*time.Millisecond)
	late := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "canary")
	require.Equal(t, "true", late.header.Get("Idempotency-Replayed"))
	require.Equal(t, string(first.body), string(late.body), "the first answer, though the tune has ended")
	require.Equal(t, 1, r.count(`select count(*) from tunes`))
}

// A language model that hangs costs a question its time-out and no more; health reports it, and that
// it is over.
func TestLLMTimeoutFallback(t *testing.T) {
	server := providertest.New(t)
	var record func(context.Context, string, string, knowledge.Reason)
	l := newLibrary(t, func(p *knowledge.Parts, m *ops.Metrics) {
		llm, err := provider.NewOpenAILLM(provider.Endpoint{URL: server.URL + "/v1", APIKey: providertest.Key, Model: "test"})
		require.NoError(t, err)
		short := limits
		short.Cooldown = 100 * time.Millisecond
		p.LLM = provider.NewLLM(llm, &m.Knowledge, short, func(ctx context.Context, name, model string, reason knowledge.Reason) {
			record(ctx, name, model, reason)
		})
	})
	record = func(ctx context.Context, name, model string, reason knowledge.Reason) {
		if err := l.store.Recommend.RecordLLMCall(ctx, name, model, reason); err != nil {
			t.Error(err)
		}
	}
	l.put(l.alpha, crossovers)
	health := func() string {
		view := into[ops.HealthDocument](t, l.admin(http.MethodGet, "/admin/system/health.json", ""))
		for _, c := range view.Components {
			if c.Name == "llm" {
				return string(c.Status)
			}
		}
		return ""
	}
	require.Equal(t, "ok", health())
	server.Fail(providertest.Hanging)
	began := time.Now()
	got := l.ask(`{"question":"When is a crossover whipsawed?"}`)
	require.Less(t, time.Since(began), limits.LLMTimeout+3*time.Second)
	require.True(t, got.Degraded)
	require.Equal(t, "llm_timeout", *got.ReasonCode)
	require.Equal(t, "fallback", got.Answer.Model)
	require.Equal(t, "fallback", got.Answer.Provider)
	require.Contains(t, got.Answer.Text, "whipsawed")
	require.NotEmpty(t, got.Answer.Citations)
	require.NotEmpty(t, *got.Answer.Error)
	require.Eventually(t, func() bool { return health() == "error" }, 5*time.Second, 20*time.Millisecond)

	server.Fail(providertest.None)
	require.Eventually(t, func() bool { return !l.ask(`{"question":"When is a crossover whipsawed?"}`).Degraded }, 5*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return health() != "error" }, 5*time.Second, 20*time.Millisecond)
}

// What the log holds is what a stream delivers, once and in order, though the client is cut off and
// comes back.
func TestSSEEventDelivery(t *testing.T) {
	r := newFixture(t).withSample()
	first, cut := context.WithCancel(t.Context())
	frames, _ := r.openStream(first, "/events/stream")
	r.startWorker()
	submitted := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "canary")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	began := time.Now()
	var delivered []frame
	for len(delivered) < 3 {
		delivered = append(delivered, next(t, frames))
	}
	require.Less(t, time.Since(began), 5*time.Second)
	cut()
	frames, _ = r.openStream(t.Context(), "/events/stream", "Last-Event-ID", delivered[len(delivered)-1].id)
	for delivered[len(delivered)-1].event != "backtest.tune.completed" {
		delivered = append(delivered, next(t, frames))
	}

	var logged []string
	for _, item := range into[struct {
		Items []struct{ Cursor string }
	}](t, r.do(http.MethodGet, "/events?limit=1000", "")).Items {
		logged = append(logged, item.Cursor)
	}
	var ids []string
	for _, f := range delivered {
		ids = append(ids, f.id)
		var view struct{ Cursor, Type string }
		require.NoError(t, json.Unmarshal([]byte(f.data), &view))
		require.Equal(t, f.id, view.Cursor)
		require.Equal(t, f.event, view.Type)
	}
	require.Equal(t, logged[:len(ids)], ids, "missed, repeated or out of order")
}
