// Package judge measures how well a knowledge base answers questions whose answers are known: the
// order of passages, whether an answer holds the phrase that it should, and whether questions off the
// subject are seen to be that. The committed set in testdata is our own text.
package judge
