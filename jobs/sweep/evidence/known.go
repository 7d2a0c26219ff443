package evidence

import (
	"math"
	"slices"
	"sync"
)

// Known is what is known of trials before the panel that they are rows of is complete. What a panel takes from there has the bits of
// what it would find itself. It is safe for concurrent use.
type Known struct {
	benchmark []float64
	mu        sync.Mutex
	rows      map[int]knownRow
	order     []int // trials as they came
	waiting   []int // those of them that vary and are in no group yet
	groups    []knownGroup
}

// knownGroup are the running sums of the rows of some trials.
type knownGroup struct {
	trials  []int
	running runningGroup
}

// knownRow is what is known of one trial.
type knownRow struct {
	place    int       // in order
	products []float64 // with the rows before it at the same scale; those that do not vary have none
	excess   []float64 // its returns without what the benchmark explains
	standard []float64 // that at mean 0 and length 1; nil: it does not vary
	block    float64   // block length
	spread   spread
}

// NewKnown knows nothing yet of trials beside that benchmark.
func NewKnown(benchmark []float64) *Known {
	return &Known{benchmark: benchmark, rows: map[int]knownRow{}}
}

// KnownBytes is about how much memory a return of a known trial takes.
const KnownBytes = 3 * 8

// Add finds what a panel will ask of a trial with these returns. One that is known already stays as it is.
func (k *Known) Add(trial int, returns []float64) {
	if k.Has(trial) {
		return
	}
	row := knownRow{excess: excess(returns, k.benchmark)}
	row.spread = spreadOf(row.excess)
	row.block = blockLengthAbout(row.excess, row.spread.mean)
	row.standard = row.spread.standardise(row.excess)
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.rows[trial]; ok {
		return
	}
	row.place, row.products = len(k.order), k.productsOf(row.standard)
	if k.rows[trial], k.order = row, append(k.order, trial); row.standard != nil {
		k.group(trial)
	}
}

// group adds a row up with the three before it, as those of a panel are resampled.
func (k *Known) group(trial int) {
	if k.waiting = append(k.waiting, trial); len(k.waiting) < groupRows {
		return
	}
	rows := make([][]float64, len(k.waiting))
	for i, trial := range k.waiting {
		rows[i] = k.rows[trial].excess
	}
	k.groups, k.waiting = append(k.groups, knownGroup{k.waiting, newRunningGroup(rows)}), nil
}

// groupsOf are the groups so far.
func (k *Known) groupsOf() []knownGroup {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.groups)
}

// productsOf are those of a row with all rows so far, by their places.
func (k *Known) productsOf(standard []float64) []float64 {
	if standard == nil {
		return nil
	}
	var places []int
	var rows [][]float64
	for place, trial := range k.order {
		if row := k.rows[trial].standard; row != nil {
			places, rows = append(places, place), append(rows, row)
		}
	}
	products := make([]float64, len(k.order))
	for four := range slices.Chunk(places, 4) {
		for i, product := range dots(standard, fourOf(rows)) {
			if i < len(four) {
				products[four[i]] = product
			}
		}
		rows = rows[len(four):]
	}
	return products
}

// fourOf are the first four rows; of fewer the last one stands for the rest.
func fourOf(rows [][]float64) (four [4][]float64) {
	for i := range four {
		four[i] = rows[min(i, len(rows)-1)]
	}
	return four
}

// Has reports whether a trial is known.
func (k *Known) Has(trial int) bool { return k.of(trial).excess != nil }

// Len is how many trials are known.
func (k *Known) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.rows)
}

// of is what is known of a trial; the zero value when nothing is.
func (k *Known) of(trial int) knownRow {
	if k == nil {
		return knownRow{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rows[trial]
}

// product is that of two trials' rows; not ok: it is not known.
func (k *Known) product(a, b int) (product float64, ok bool) {
	if k == nil {
		return 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	earlier, ok := k.rows[a]
	later, both := k.rows[b]
	if !ok || !both || earlier.place == later.place || earlier.standard == nil || later.standard == nil {
		return 0, false
	}
	if earlier.place > later.place {
		earlier, later = later, earlier
	}
	return later.products[earlier.place], true
}

// standardise is a row with mean 0 and length 1; nil for one that does not vary.
func (s spread) standardise(row []float64) []float64 {
	if !(s.deviation > 0) {
		return nil
	}
	out := make([]float64, len(row))
	scale := 1 / (s.deviation * math.Sqrt(float64(len(row)-1)))
	for t, r := range row {
		out[t] = (r - s.mean) * scale
	}
	return out
}
