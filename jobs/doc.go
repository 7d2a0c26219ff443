// Package jobs is the contract between those who submit work and those who do it: the kinds, the
// arguments, the queues and the insert-only client. Workers live in the folders below; nothing
// here imports them, so an API process links no worker.
//
// A tune is one plan job, a window of shard jobs at a time, and one collect job:
//
//	tune.plan ─► tune.shard × W ─► … (each shard that ends lets in the next) ─► tune.collect
package jobs
