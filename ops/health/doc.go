// Package health looks at what Millrace consists of, component by component, and measures the fleet
// as a whole. Everything it tells comes from the database, so that it is true for all processes and
// after a restart, but for what only this process can know: its pool and its part in the event feed.
package health
