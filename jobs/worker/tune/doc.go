// Package tune works the jobs of a tune. Each worker is thin: read what to do, call the pure
// domain in jobs/sweep, save the result under the job's lease, done.
package tune
