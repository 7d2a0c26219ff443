package backtest

import "sync"

// indicatorBytes bounds the idle arrays of a cache. Trials of a grid that share a period share its
// array; a sweep over more periods than fit computes some again.
const indicatorBytes = 96 << 20

// IndicatorCache keeps indicator arrays over one history for later trials. Runners of one cache share
// its arrays, also concurrently.
type IndicatorCache struct {
	bars  *Bars
	limit int // arrays kept when none is in use

	mu    sync.Mutex
	byKey map[indicatorKey]*indicatorArray
	all   []*indicatorArray
	rng   uint64 // state of the generator that picks what to evict

	attached map[any]any
}

type indicatorKey struct {
	kind   string
	period int
	second int
}

type indicatorArray struct {
	key    indicatorKey
	values []float64
	users  int
	filled chan struct{} // closed once values can be read
	failed bool          // filling it panicked; set before filled is closed
}

// NewIndicatorCache makes an empty cache over the bars.
func NewIndicatorCache(b *Bars) *IndicatorCache {
	return &IndicatorCache{
		bars: b, limit: max(8, indicatorBytes/(8*max(1, b.Len()))), byKey: map[indicatorKey]*indicatorArray{},
	}
}

// Attached is what was made for the key before, or what create makes now: for traders that share more
// than indicator arrays. It lives as long as the cache.
func (c *IndicatorCache) Attached(key any, create func() any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok := c.attached[key]
	if !ok {
		value = create()
		if c.attached == nil {
			c.attached = map[any]any{}
		}
		c.attached[key] = value
	}
	return value
}

// acquire finds the array of key, which may still be filling, or makes one for the caller to fill.
// The caller releases it.
func (c *IndicatorCache) acquire(key indicatorKey) (a *indicatorArray, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.byKey[key]; a != nil {
		a.users++
		return a, true
	}
	if len(c.all) >= c.limit {
		a = c.evict()
	}
	if a == nil {
		a = &indicatorArray{values: make([]float64, c.bars.Len())}
		c.all = append(c.all, a)
	} else {
		delete(c.byKey, a.key)
	}
	a.key, a.users, a.filled, a.failed = key, 1, make(chan struct{}), false
	c.byKey[key] = a
	return a, false
}

// evict picks an unused array at random: a sweep that cycles over more arrays than fit would find the
// least recently used one evicted each time, a random one only now and then.
func (c *IndicatorCache) evict() *indicatorArray {
	c.rng = mix(c.rng + 0x9e3779b97f4a7c15)
	from := int(c.rng % uint64(len(c.all)))
	for i := range c.all {
		if a := c.all[(from+i)%len(c.all)]; a.users == 0 {
			return a
		}
	}
	return nil
}

func (c *IndicatorCache) release(arrays []*indicatorArray) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range arrays {
		a.users--
	}
}

// discard drops an array whose fill panicked; a runner that waits for it fills its own.
func (c *IndicatorCache) discard(a *indicatorArray) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.failed = true
	if c.byKey[a.key] == a {
		delete(c.byKey, a.key)
	}
	close(a.filled)
}

// Indicators computes indicator arrays over a history, or finds them in the cache. Values before an
// indicator's warm-up are NaN, which compares false. Arrays are to be read only, until the strategy's
// Signals returns. Not safe for concurrent use.
type Indicators struct {
	cache *IndicatorCache
	inUse []*indicatorArray
}

// NewIndicators makes indicators with a cache of their own.
func NewIndicators(b *Bars) *Indicators { return &Indicators{cache: NewIndicatorCache(b)} }

// Bars is the history the indicators are computed over.
func (ind *Indicators) Bars() *Bars { return ind.cache.bars }

// cached finds the array of key, or fills one. fill may ask for other arrays, but not, by way of
// others, for this one.
func (ind *Indicators) cached(key indicatorKey, fill func(out []float64)) []float64 {
	for {
		a, found := ind.cache.acquire(key)
		ind.inUse = append(ind.inUse, a)
		if !found {
			ind.fill(a, fill)
			return a.values
		}
		if <-a.filled; !a.failed {
			return a.values
		}
	}
}

func (ind *Indicators) fill(a *indicatorArray, fill func(out []float64)) {
	done := false
	defer func() {
		if done {
			close(a.filled)
		} else {
			ind.cache.discard(a)
		}
	}()
	fill(a.values)
	done = true
}

// release ends the use of the arrays of the last Signals.
func (ind *Indicators) release() {
	ind.cache.release(ind.inUse)
	ind.inUse = ind.inUse[:0]
}
