package events

import (
	"runtime"
	"sync"

	"millrace/ops/routine"
)

// dispatchBatch is how many subscriptions a goroutine of the dispatcher takes at once.
const dispatchBatch = 64

// dispatcher delivers to many subscriptions from as many goroutines as there are processors, which end when
// nothing is left. Waking a goroutine for each subscription takes as long as the writes do.
type dispatcher struct {
	mu      sync.Mutex
	due     []*Subscription // in the order in which they became due
	running int
}

// add has subscriptions delivered to.
func (d *dispatcher) add(due []*Subscription) {
	if len(due) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.due) == 0 {
		d.due = due
	} else {
		d.due = append(d.due, due...)
	}
	d.start()
}

// start adds goroutines for what is due; the caller holds the lock.
func (d *dispatcher) start() {
	most := min(runtime.GOMAXPROCS(0), (len(d.due)+dispatchBatch-1)/dispatchBatch)
	for ; d.running < most; d.running++ {
		routine.Go(d.run, func(error) {}) // dispatch keeps what panics for its subscription
	}
}

// run delivers until nothing is due.
func (d *dispatcher) run() error {
	for {
		batch := d.take()
		if len(batch) == 0 {
			return nil
		}
		for _, sub := range batch {
			sub.dispatch()
		}
	}
}

func (d *dispatcher) take() []*Subscription {
	d.mu.Lock()
	defer d.mu.Unlock()
	batch := d.due[:min(dispatchBatch, len(d.due))]
	d.due = d.due[len(batch):]
	if len(batch) == 0 {
		d.due = nil
		d.running--
	}
	return batch
}
