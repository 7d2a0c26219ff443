// Package retention works the retention jobs. What they delete, and when, is SQL: see
// migrations/sql/0028_retention.sql. Where pg_cron runs the schedule, River's scheduled jobs find
// that out and do nothing.
package retention
