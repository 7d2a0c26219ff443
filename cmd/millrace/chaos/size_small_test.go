//go:build !chaos

package chaos

import "time"

// full is false in `make test`: the same course, short enough to be run always.
const full = false

var sizes = size{
	jobs: 250, faults: 12, workers: 3, tunes: 2, slow: 20,
	writers: 8, events: 10_000, spaces: 3, restarts: 1,
	overload: 3 * time.Second, neighbours: 2,
	keys: 12, clients: 10, kills: 3,
}
