package store

import "time"

// ClockOf is a clock on another machine's.
func ClockOf(machine func() time.Time) *Clock { return &Clock{machine: machine} }

// SetMachine puts the clock on another machine's.
func (c *Clock) SetMachine(machine func() time.Time) { c.machine = machine }
