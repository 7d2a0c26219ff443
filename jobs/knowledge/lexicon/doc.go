// Package lexicon knows what English words mean, from a table that is part of the binary: it needs no model, no network and
// no vector in an index. The table is distilled from all-MiniLM-L6-v2 (Apache 2.0), the way of model2vec (Tulkens and
// van Dongen 2024): each of 26,000 pieces of words was read by the model as a text of its own. What a text is about is the
// sum of its words. A word alone says less than a sentence that a model reads; ops/docs/models.md has how the table is made
// and ops/docs/knowledge.md what it brings.
//
// Everything is in whole numbers, so that the same text gives the same bits on every machine.
package lexicon
