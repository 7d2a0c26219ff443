package store

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// OwnTime is ownTime.
const OwnTime = ownTime

// RegisterIDs is registerIDs.
func RegisterIDs(types *pgtype.Map) { registerIDs(types) }

// RegisterArrays is registerArrays.
func RegisterArrays(types *pgtype.Map) { registerArrays(types) }

// ClockOf is a clock on another machine's.
func ClockOf(machine func() time.Time) *Clock { return &Clock{machine: machine} }

// SetMachine puts the clock on another machine's.
func (c *Clock) SetMachine(machine func() time.Time) { c.machine = machine }
