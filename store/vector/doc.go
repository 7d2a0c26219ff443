// Package vector holds the two vector indexes: Embedded, whose vectors are rows in Postgres and are
// searched exactly in memory, and Qdrant. One suite of tests runs on both.
package vector
