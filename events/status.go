package events

import (
	"sync"
	"time"
)

// Status is the state of this process's part in the feed.
type Status struct {
	Subscribers int
	Lag         time.Duration // how old events are when they get here
	// ListenerDown and RelayDown are for how long this process has not heard from the log, and the
	// fleet has had no relay; zero while all is well.
	ListenerDown time.Duration
	RelayDown    time.Duration
}

// Status reports on the feed, from memory.
func (f *Feed) Status() Status {
	status := f.pulse.status(time.Now())
	status.Subscribers = f.hub.subscribers()
	return status
}

// pulse notes when the parts of the feed were last heard.
type pulse struct {
	mu        sync.Mutex
	listening bool
	relaying  bool
	heard     time.Time // by the listener, of the log
	relayed   time.Time // by the listener, of a relay
	lag       time.Duration
}

func (p *pulse) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard, p.relayed = now, now
}

// listened notes a listener that has just read the log, and whether the fleet has a relay.
func (p *pulse) listened(now time.Time, relayed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listening, p.heard = true, now
	if p.relaying = relayed; relayed {
		p.relayed = now
	}
}

// lost notes the end of a part's session.
func (p *pulse) lost(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if part == "listener" {
		p.listening = false
	}
}

func (p *pulse) setLag(lag time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lag = lag
}

func (p *pulse) status(now time.Time) Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Lag: p.lag}
	// A session that hangs looks open until it times out.
	if !p.listening || now.Sub(p.heard) > 3*pollEvery {
		s.ListenerDown = now.Sub(p.heard)
	}
	if !p.relaying || !p.listening {
		s.RelayDown = now.Sub(p.relayed)
	}
	return s
}
