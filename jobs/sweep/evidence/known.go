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
	products  map[[2]int]float64 // of two rows at the same scale, the one that came first before the other
	order     []int              // trials as they came
	waiting   []int              // those of them that vary and are in no group yet
	groups    []knownGroup
}

// knownGroup are the running sums of the rows of some trials.
type knownGroup struct {
	trials  []int
	running runningGroup
}

// knownRow is what is known of one trial.
type knownRow struct {
	excess   []float64 // its returns without what the benchmark explains
	standard []float64 // that at mean 0 and length 1; nil: it does not vary
	block    float64   // block length
	spread   spread
}

// NewKnown knows nothing yet of trials beside that benchmark.
func NewKnown(benchmark []float64) *Known {
	return &Known{benchmark: benchmark, rows: map[int]knownRow{}, products: map[[2]int]float64{}}
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
	k.rows[trial] = row
	if row.standard != nil {
		k.compare(trial, row.standard)
		k.group(trial)
	}
	k.order = append(k.order, trial)
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

// compare notes the products with all rows that vary.
func (k *Known) compare(trial int, standard []float64) {
	var others []int
	var rows [][]float64
	for _, other := range k.order {
		if row := k.rows[other].standard; row != nil {
			others, rows = append(others, other), append(rows, row)
		}
	}
	for four := range slices.Chunk(others, 4) {
		for i, product := range dots(standard, fourOf(rows)) {
			if i < len(four) {
				k.products[[2]int{four[i], trial}] = product
			}
		}
		rows = rows[len(four):]
	}
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
	if product, ok = k.products[[2]int{a, b}]; !ok {
		product, ok = k.products[[2]int{b, a}]
	}
	return product, ok
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
