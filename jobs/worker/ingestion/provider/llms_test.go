package provider_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/ops"
)

func llms(server *providertest.Server) map[string]knowledge.LLM {
	endpoint := provider.Endpoint{URL: server.URL + "/v1", APIKey: providertest.Key, Model: "test"}
	root := endpoint
	root.URL = server.URL
	return map[string]knowledge.LLM{
		"openai": must(provider.NewOpenAILLM(endpoint)), "anthropic": must(provider.NewAnthropicLLM(root)), "ollama": must(provider.NewOllamaLLM(root)),
	}
}

var conversation = []knowledge.Message{
	{Role: knowledge.RoleSystem, Text: "Answer in one word."}, {Role: knowledge.RoleUser, Text: "Say yes."},
}

func TestLLMsAnswer(t *testing.T) {
	server := providertest.New(t)
	server.Reply(func(messages []knowledge.Message) string {
		require.Equal(t, conversation[1], messages[len(messages)-1])
		return "  yes \n"
	})
	for name, llm := range llms(server) {
		done, err := llm.Complete(t.Context(), conversation, 16)
		require.NoError(t, err, name)
		require.Equal(t, knowledge.Completion{Text: "yes", InputTokens: 11, OutputTokens: 7}, done)
		done, err = llm.Complete(t.Context(), conversation, 4)
		require.NoError(t, err, name)
		require.True(t, done.Truncated, "%s: a reply that was cut short is known as such", name)
		require.Equal(t, name, llm.Provider())
		require.Equal(t, "test", llm.Model())
	}
}

func TestARealLLMAnswers(t *testing.T) {
	for name, open := range map[string]func(provider.Endpoint) (knowledge.LLM, error){
		"OPENAI": provider.NewOpenAILLM, "ANTHROPIC": provider.NewAnthropicLLM, "OLLAMA": provider.NewOllamaLLM,
	} {
		t.Run(name, func(t *testing.T) {
			url := os.Getenv(name + "_TEST_URL")
			if url == "" {
				t.Skipf("%s_TEST_URL is not set: the suite has run on a local server of the same protocol", name)
			}
			llm := must(open(provider.Endpoint{URL: url, APIKey: os.Getenv(name + "_TEST_API_KEY"), Model: os.Getenv(name + "_TEST_MODEL")}))
			done, err := llm.Complete(t.Context(), conversation, 512)
			require.NoError(t, err)
			require.Contains(t, strings.ToLower(done.Text), "yes")
		})
	}
}

func TestLLMFailuresHaveTheirReasonsAndMetrics(t *testing.T) {
	server := providertest.New(t)
	for protocol, bare := range llms(server) {
		for failure, kind := range failures {
			t.Run(protocol+"/"+string(failure), func(t *testing.T) {
				metrics := ops.NewMetrics()
				var recorded []knowledge.Reason
				llm := provider.NewLLM(bare, &metrics.Knowledge, provider.GuardOptions{LLMTimeout: 300 * time.Millisecond},
					func(_ context.Context, _, _ string, reason knowledge.Reason) { recorded = append(recorded, reason) })
				server.Fail(failure)
				defer server.Fail(providertest.None)
				_, err := llm.Complete(t.Context(), conversation, 16)
				requireFault(t, err, kind)
				reason := knowledge.ReasonOf(err)
				require.Equal(t, []knowledge.Reason{reason}, recorded)
				require.EqualValues(t, 1, testutil.ToFloat64(metrics.Knowledge.LLMRequests.WithLabelValues(protocol, "error", string(reason))))
				timeouts, errors := testutil.ToFloat64(metrics.Knowledge.LLMTimeouts), testutil.ToFloat64(metrics.Knowledge.LLMErrors)
				require.EqualValues(t, 1, timeouts+errors)
				require.Equal(t, failure == providertest.Hanging, timeouts == 1)
				server.Fail(providertest.None)
				_, err = llm.Complete(t.Context(), conversation, 16)
				require.NoError(t, err)
				require.Equal(t, []knowledge.Reason{reason, ""}, recorded)
				require.EqualValues(t, 1, testutil.ToFloat64(metrics.Knowledge.LLMRequests.WithLabelValues(protocol, "ok", "")))
			})
		}
	}
}

func TestWithoutAnLLMThereIsAReason(t *testing.T) {
	metrics := ops.NewMetrics()
	llm := provider.NewLLM(nil, &metrics.Knowledge, provider.GuardOptions{}, nil)
	for range 20 {
		_, err := llm.Complete(t.Context(), conversation, 16)
		require.Equal(t, knowledge.ReasonUnconfigured, knowledge.ReasonOf(err))
	}
	require.EqualValues(t, 20, testutil.ToFloat64(metrics.Knowledge.LLMRequests.WithLabelValues("none", "error", "llm_unconfigured")))
	require.Zero(t, testutil.ToFloat64(metrics.Knowledge.LLMErrors), "nothing has failed")
}

func TestAnLLMThatKeepsHangingIsLeftAloneUnderItsReason(t *testing.T) {
	server := providertest.New(t)
	llm := provider.NewLLM(llms(server)["openai"], &ops.NewMetrics().Knowledge,
		provider.GuardOptions{LLMTimeout: 20 * time.Millisecond, Cooldown: time.Hour}, nil)
	server.Fail(providertest.Hanging)
	for range 5 {
		_, err := llm.Complete(t.Context(), conversation, 16)
		requireFault(t, err, knowledge.FaultTimeout)
	}
	made := server.Calls.Load()
	_, err := llm.Complete(t.Context(), conversation, 16)
	require.Equal(t, knowledge.ReasonTimeout, knowledge.ReasonOf(err))
	require.Equal(t, made, server.Calls.Load())
}

func TestClientDisconnectIsNotAFailure(t *testing.T) {
	server := providertest.New(t)
	server.Fail(providertest.Hanging)
	metrics := ops.NewMetrics()
	llm := provider.NewLLM(llms(server)["openai"], &metrics.Knowledge, provider.GuardOptions{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := llm.Complete(ctx, conversation, 16)
		failed <- err
	}()
	require.Eventually(t, func() bool { return server.Calls.Load() == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.Zero(t, testutil.ToFloat64(metrics.Knowledge.LLMErrors))
}

func TestRerankerScoresInTheOrderOfTheTexts(t *testing.T) {
	server := providertest.New(t)
	r := provider.NewGuardedReranker(must(provider.NewReranker(provider.Endpoint{URL: server.URL + "/v1", APIKey: providertest.Key, Model: "m"})),
		provider.GuardOptions{RerankTimeout: 300 * time.Millisecond})
	scores, err := r.Rerank(t.Context(), "x", []string{"x", "none", "xxx"})
	require.NoError(t, err)
	require.Equal(t, []float64{1, 0, 3}, scores)
	for failure, kind := range failures {
		r := provider.NewGuardedReranker(must(provider.NewReranker(provider.Endpoint{URL: server.URL + "/v1", APIKey: providertest.Key})),
			provider.GuardOptions{RerankTimeout: 300 * time.Millisecond})
		server.Fail(failure)
		_, err := r.Rerank(t.Context(), "x", []string{"x", "none", "xxx"})
		requireFault(t, err, kind)
	}
}
