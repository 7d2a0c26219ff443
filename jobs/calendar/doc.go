// Package calendar says when a cron line fires in a time zone. It imports nothing of ours, and knows no clock.
//
// A line has the five fields of cron: minute, hour, day of month, month and day of week, or is one of @yearly,
// @annually, @monthly, @weekly, @daily, @midnight and @hourly. It is read by robfig/cron.
//
// Clocks that change:
//
//   - A line that names hours ("30 2 * * *") follows the clock on the wall. A time that does not exist on a day, as
//     clocks go forward over it, is fired at the moment when they do; several such times are one. A time that
//     exists twice, as clocks go back, is fired the first time.
//   - A line for every hour ("*/15 * * * *") follows elapsed time: the hour that does not exist has no slots, the
//     hour that exists twice has its slots twice, so that they are as far apart as on any other day.
//
// robfig/cron by itself leaves a time out that does not exist, and fires one twice that exists twice.
package calendar
