// Package jobs is the contract between those who submit work and those who do it: the kinds, the
// arguments, the queues and the insert-only client. Workers live in the folders below; nothing
// here imports them, so an API process links no worker.
//
// A tune is one plan job, a window of shard jobs at a time, and one collect job:
//
//	tune.plan ─► tune.shard × W ─► … (each shard that ends enqueues the next) ─► tune.collect
//
// A walk-forward is a tune for each fold, a few at a time, and then the judging of its candidates.
// No job waits for another: the last to end enqueues the next step, so one slot is enough.
//
//	(tune of a fold) × W ─► … ─► wfo.candidates ─► wfo.score × W ─► … ─► wfo.collect
package jobs
