package ops

import "github.com/prometheus/client_golang/prometheus"

// KnowledgeMetrics are those of the knowledge base and of what it leans on: the vector index, the
// embedder and the LLM.
type KnowledgeMetrics struct {
	QdrantDuration *prometheus.HistogramVec // op
	QdrantErrors   *prometheus.CounterVec   // op
	QdrantVectors  *prometheus.GaugeVec     // collection

	EmbeddingRequests *prometheus.CounterVec   // provider, status
	EmbeddingDuration *prometheus.HistogramVec // provider

	LLMRequests *prometheus.CounterVec // provider, status, reason_code
	LLMDegraded *prometheus.CounterVec // reason_code
	LLMErrors   prometheus.Counter
	LLMTimeouts prometheus.Counter
	LLMDuration *prometheus.HistogramVec // provider

	RecommendRequests *prometheus.CounterVec // status, confidence_bucket
	RecommendTimeouts prometheus.Counter
	EmbedErrors       prometheus.Counter
	Total             prometheus.Histogram // of a recommendation, as the next three
	Embed             prometheus.Histogram
	Qdrant            prometheus.Histogram
	Rerank            prometheus.Histogram
}

func newKnowledgeMetrics() KnowledgeMetrics {
	seconds := exponential(0.001, 16)
	return KnowledgeMetrics{
		QdrantDuration: histograms("qdrant_request_duration_seconds", "Time of a call to the vector index.", seconds, "op"),
		QdrantErrors:   counters("qdrant_errors_total", "Failed calls to the vector index.", "op"),
		QdrantVectors:  gauges("qdrant_vectors", "Vectors in a collection.", "collection"),

		EmbeddingRequests: counters("embedding_requests_total", "Calls to an embedder, by status.", "provider", "status"),
		EmbeddingDuration: histograms("embedding_duration_seconds", "Time of a call to an embedder.", seconds, "provider"),

		LLMRequests: counters("llm_requests_total", "Calls to an LLM; the reason is empty when it answered.", "provider", "status", "reason_code"),
		LLMDegraded: counters("llm_degraded_total", "Answers given without the LLM.", "reason_code"),
		LLMErrors:   counter("llm_errors_total", "Calls to an LLM that failed, time-outs aside."),
		LLMTimeouts: counter("llm_timeout_total", "Calls to an LLM that timed out."),
		LLMDuration: histograms("llm_request_duration_seconds", "Time of a call to an LLM.", seconds, "provider"),

		RecommendRequests: counters("kb_recommend_requests_total", "Recommendations, by status and confidence.", "status", "confidence_bucket"),
		RecommendTimeouts: counter("kb_recommend_timeout_total", "Recommendations that ran out of time."),
		EmbedErrors:       counter("kb_embed_errors_total", "Recommendations and queries whose text could not be embedded."),
		Total:             histogram("kb_total_seconds", "Time of a recommendation or query.", seconds),
		Embed:             histogram("kb_embed_seconds", "Time of its embedding.", seconds),
		Qdrant:            histogram("kb_qdrant_seconds", "Time of its vector search.", seconds),
		Rerank:            histogram("kb_rerank_seconds", "Time of its reranking.", seconds),
	}
}

// begin makes the series of every known label start at zero: see Metrics.begin.
func (k *KnowledgeMetrics) begin() {
	each(k.LLMDegraded, []string{"llm_timeout", "llm_unconfigured", "llm_error", "llm_rate_limit"})
	each(k.RecommendRequests, []string{"ok", "degraded", "none"}, []string{"none", "low", "medium", "high"})
}

func (k *KnowledgeMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		k.QdrantDuration, k.QdrantErrors, k.QdrantVectors, k.EmbeddingRequests, k.EmbeddingDuration,
		k.LLMRequests, k.LLMDegraded, k.LLMErrors, k.LLMTimeouts, k.LLMDuration,
		k.RecommendRequests, k.RecommendTimeouts, k.EmbedErrors, k.Total, k.Embed, k.Qdrant, k.Rerank,
	}
}
