//go:build chaos

package chaos

import "time"

// full is true in `make chaos`.
const full = true

var sizes = size{
	jobs: 10_000, faults: 500, workers: 5, tunes: 12, slow: 100,
	writers: 64, events: 1_000_000, spaces: 8, restarts: 4,
	overload: 75 * time.Second, neighbours: 10,
	keys: 1000, clients: 50, kills: 40,
}
