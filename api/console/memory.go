package console

import (
	"container/list"
	"sync"

	"millrace/jobs/backtest"
)

// memoryBytes is about how much of this process a Pages keeps of results at most.
const memoryBytes = 64 << 20

// memory keeps what pages are made of where that does not change any more and takes long to read or to run: trials
// that ran again, and what was drawn of every trial of a completed tune. What was used longest ago goes first. Keys
// begin with the workspace, and pages look for a result in the database before they look here: what is deleted, or
// another workspace's, is not shown. Those of a tune have the moment at which it completed: a fold may run again.
type memory struct {
	mu      sync.Mutex
	most    int // bytes
	bytes   int
	entries map[string]*list.Element
	used    *list.List             // of remembered, the newest first
	bars    map[*backtest.Bars]int // how many entries hold them
}

type remembered struct {
	key   string
	value any
	bytes int
	bars  *backtest.Bars // that the value holds, which may be those of others; nil: none
}

func newMemory(most int) *memory {
	return &memory{most: most, entries: map[string]*list.Element{}, used: list.New(), bars: map[*backtest.Bars]int{}}
}

// recall returns what is kept under a key, if it is of that type.
func recall[T any](m *memory, key string) (value T, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.entries[key]
	if !ok {
		return value, false
	}
	m.used.MoveToFront(at)
	value, ok = at.Value.(remembered).value.(T)
	return value, ok
}

// keep puts a value of about so many bytes under a key. What is larger than half of the memory is not kept.
func (m *memory) keep(key string, value any, bytes int) { m.keepWith(key, value, bytes, nil) }

// keepWith is keep of a value that holds bars. They count once for all values that hold them, and stay with the newest
// however many they are: its maker has them in memory anyway.
func (m *memory) keepWith(key string, value any, bytes int, bars *backtest.Bars) {
	if bytes > m.most/2 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.entries[key]; ok {
		m.drop(at)
	}
	m.entries[key] = m.used.PushFront(remembered{key, value, bytes, bars})
	m.bytes += bytes
	m.hold(bars, 1)
	for m.bytes > m.most && m.used.Len() > 1 {
		m.drop(m.used.Back())
	}
}

func (m *memory) drop(at *list.Element) {
	was := m.used.Remove(at).(remembered)
	delete(m.entries, was.key)
	m.bytes -= was.bytes
	m.hold(was.bars, -1)
}

// hold counts who holds bars, and their bytes for the first of them.
func (m *memory) hold(bars *backtest.Bars, more int) {
	if bars == nil {
		return
	}
	const aBar = 6 * 8 // bytes
	before := m.bars[bars]
	if m.bars[bars] = before + more; m.bars[bars] == 0 {
		delete(m.bars, bars)
		m.bytes -= aBar * bars.Len()
	} else if before == 0 {
		m.bytes += aBar * bars.Len()
	}
}
