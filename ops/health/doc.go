// Package health looks at what Millrace consists of, component by component, and measures the fleet
// as a whole. Every figure comes from the database, so that it holds for all processes and after a
// restart, except two of this process: its pool and its part in the event feed.
package health
