// Package lifecycle deletes and archives tunes, walk-forwards, run plans, runs and datasets, one by its id or many by a
// filter.
//
// A deletion has two parts. The request finds out what goes: the subject, its parts (the folds of a walk-forward, the
// variants of a run plan) and its dependants (what cannot be without it). It is refused when there are dependants or
// work that has not ended, unless these are to go too; else everything is hidden in the same transaction: row-level
// security keeps what has a deleted_at from every transaction of the workspace that is not a deletion's own. A job
// then takes the rows away in transactions of bounded size, each under the job's lease, and continues where an attempt
// before it ended.
//
// A submission holds the datasets that it names until it commits (store.HoldDatasets), and a deletion takes them for
// update before it looks for dependants, so that one of the two waits for the other and sees what it did.
//
// A whole workspace is deleted likewise: its row is hidden from every role, which ends its transactions, keys, streams
// and jobs at once (migration 0170), and a job empties every table that has a workspace_id, see holdings.
package lifecycle
