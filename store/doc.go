// Package store keeps everything durable, in Postgres: one file per aggregate, each function's
// SQL beside it. An exported method owns its transaction; an unexported helper takes one.
//
// Connections act as the role millrace_app, which row-level security shows one workspace per
// transaction and nothing when none is set. Work that spans tenants (key lookup, event relay,
// rescue, admin pages) switches to millrace_fleet for the length of one transaction.
package store
