// Package bm25 ranks the chunks of one workspace by the words that they share with a question: Okapi
// BM25 over the words of the text and, as a second field that counts more, of title and heading
// (BM25F, Robertson and Zaragoza 2009). It is an inverted index in memory, exact: every chunk that
// has a word of the question is scored. It knows nothing of where words come from.
//
// A word's places are kept as the differences of chunk numbers, about two bytes a place, so that 250,000
// chunks of 300 words take about 120 MB. Documents come and go as a whole; the places of one that is
// gone are skipped, and cleared away once they are a quarter.
package bm25
