// Package provider reaches embedders, language models and rerankers over HTTP. Each adapter speaks
// one protocol, believes no answer it has not checked, and makes every failure a
// knowledge.Fault. Embedder and LLM wrap them with time limits, retries, a circuit breaker and
// metrics.
package provider
