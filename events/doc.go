// Package events carries the event log to its subscribers.
//
// Events are rows of event_log. Package store writes domain events in the transaction of
// the change they report. Those of River's jobs are written by the triggers event_log_river_insert and
// event_log_river_update of migrations/sql: the one step on a job's way that no Go code shows. Jobs
// that change alike in one statement share a row, which readers of the log see as an event each.
//
//	event_log ─► Relay (one in the fleet) ─► NOTIFY ─► Listener ─► Hub ─► subscribers
//
// The relay notifies once for many commits, because NOTIFY takes a lock of the whole server at
// commit. It looks at the log every millisecond while events come, and hands them to its own process's
// subscribers itself; otherwise it sleeps, and the first event that is written wakes it (see
// eventlog.Session.Sleep). A notification is a hint: listeners read the log by cursor, and also look
// by themselves once a second, so that a lost one costs a moment and no event.
//
// A subscription that has many beside it, as a stream of the API's, gives the hub a function: the dispatcher calls
// those of all that an event is for, from a goroutine for each processor, and each writes to its connection what
// that takes without waiting. Only what a connection has no room for wakes the subscription's own goroutine.
//
// An event is read once every transaction of the server that began before its own has ended: a
// transaction that stays open, in any database of the server, delays the feed, which Status.Lag
// shows.
package events
