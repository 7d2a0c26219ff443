// Package knowledge is the domain of documents and of what is learned from past trials: the ports
// through which it reaches embedders, vector indexes and language models, the fusion of search
// results, prompts and answers, and recommendations with their coverage. It does no I/O of its own.
package knowledge
