package calendar

import "time"

// Policy is what becomes of slots whose time has gone by before they could be fired.
type Policy string

// The policies.
const (
	Skip Policy = "skip" // they are left out; the newest too when it is older than Grace
	Once Policy = "once" // the newest stands for all of them
	All  Policy = "all"  // each is made up for, of more than MostMadeUp the newest
)

// Policies lists them all.
func Policies() []Policy { return []Policy{Skip, Once, All} }

const (
	// Grace is how late the newest slot may be fired under Skip.
	Grace = 10 * time.Minute
	// MostMadeUp is how many slots All makes up for.
	MostMadeUp = 100
	// mostWalked bounds how many slots are looked at one by one: those of two months of minutes.
	mostWalked = 100_000
	// recent is what is looked at of more than mostWalked slots: all that can be fired is in it.
	recent = 7 * 24 * time.Hour
)

// Due is what is to be done of a line's slots at a moment.
type Due struct {
	Fire []time.Time // oldest first
	// Left out, before the first of Fire: how many slots, the first and the last of them. Of more than mostWalked slots
	// it is the least number there were.
	Skipped     int
	First, Last time.Time
	Next        time.Time // the first slot to come; zero: there is none
}

// Between says what is due at a moment: from the slot that is next on, up to the moment.
func (l Line) Between(next, now time.Time, policy Policy) Due {
	var due Due
	most := MostMadeUp
	if policy != All {
		most = 1
	}
	skip := func(at time.Time) {
		if due.Skipped++; due.Skipped == 1 {
			due.First = at
		}
		due.Last = at
	}
	at, jumped := next, false
	for walked := 0; !at.IsZero() && !at.After(now); walked++ {
		if due.Fire = append(due.Fire, at); len(due.Fire) > most {
			skip(due.Fire[0])
			due.Fire = due.Fire[1:]
		}
		if walked >= mostWalked && !jumped {
			jumped = true
			if from := now.Add(-recent); at.Before(from) {
				at = from
			}
		}
		at = l.Next(at)
	}
	if policy == Skip && len(due.Fire) == 1 && now.Sub(due.Fire[0]) > Grace {
		skip(due.Fire[0])
		due.Fire = nil
	}
	due.Next = at
	return due
}
