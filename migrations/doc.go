// Package migrations holds the schema as numbered SQL files and brings a database up to it,
// River's own tables first, because ours refer to them.
//
// # Triggers
//
// A trigger is a step that the code it serves does not show. These are all there are; a test compares
// the list with the catalogue.
//
//   - river_job.event_log_river_insert: writes one event row a statement for jobs that were inserted. The
//     event log must hold every job, also those that River inserts by itself (periodic jobs, retries).
//   - river_job.event_log_river_update: the same for jobs whose state changed, whichever of River's
//     statements changed it. No code of ours sees these.
//   - river_job.counter_deltas_river_delete: takes jobs that River's cleaner deletes out of the counters,
//     which are otherwise folded from the event log; a deletion is not an event.
//   - river_job.river_job_holder: refuses the outcome of an attempt that no longer holds the job, and
//     records the refusal as an event. River checks only that some attempt is running.
//   - tunes.count_insert, tunes.count_update, tunes.count_delete: count tunes by status, one row a
//     statement, so that the count of running tunes costs the same however many there are.
//   - documents.text_version_insert, documents.text_version_update, documents.text_version_delete: raise the
//     version of a workspace's text at commit, so that processes read what came or went before they search.
package migrations
