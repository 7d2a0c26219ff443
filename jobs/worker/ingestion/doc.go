// Package ingestion works the jobs that make sources into documents: read what was sent or fetch it,
// have a child process extract its text and cut it into chunks (sandbox), embed them into the vector
// index, and store the document's new revision under the job's lease.
//
// The order is what makes it safe. Vectors come first, under a revision of the attempt's own, and a
// search drops hits whose chunk has no row. Then one fenced transaction puts the new chunks in the
// place of the old. Only then a job of its own deletes the vectors of earlier revisions. Whenever it is
// interrupted, a reader sees the document before or the document after, whole.
package ingestion
