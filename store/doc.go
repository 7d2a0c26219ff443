// Package store is the way to Postgres: the pool, transactions that see one workspace or the whole
// fleet, the lease and the fence that results are written under, idempotent submissions, and the
// errors that callers distinguish. Each aggregate has a package below it, with the SQL beside each
// function; package stores puts them all on one pool.
//
// An exported method of an aggregate owns its transaction; an unexported helper takes one.
//
// Transactions of workspaces have a pool of their own, whose login can act as millrace_workspace and no
// other role; row-level security shows that one workspace per transaction, and nothing when none is set.
// Other connections act as millrace_app. Work that spans tenants (key lookup, event relay,
// rescue, admin pages) switches to millrace_fleet for the length of one transaction.
package store
