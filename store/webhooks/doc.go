// Package webhooks keeps subscriptions to a workspace's events, the place of each in the event log, and the
// newest attempts to deliver.
//
// A webhook's place moves under the lease of its job, after what lies before it was accepted: an event may be
// sent twice, but none is left out, and a receiver that drops repeats by their id sees the order of the log. One
// job of a webhook is live at a time, and only Dispatch inserts them, so those who write events do nothing for it.
package webhooks
