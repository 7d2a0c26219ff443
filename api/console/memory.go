package console

import (
	"container/list"
	"sync"
)

// memoryBytes is about how much of this process a Pages keeps of results at most.
const memoryBytes = 64 << 20

// memory keeps what pages are made of where that does not change any more and takes long to read or to run: trials
// that ran again, and what was drawn of every trial of a completed tune. What was used longest ago goes first. Keys
// begin with the workspace, and pages look for a result in the database before they look here: what is deleted, or
// another workspace's, is not shown.
type memory struct {
	mu      sync.Mutex
	most    int // bytes
	bytes   int
	entries map[string]*list.Element
	used    *list.List // of remembered, the newest first
}

type remembered struct {
	key   string
	value any
	bytes int
}

func newMemory(most int) *memory {
	return &memory{most: most, entries: map[string]*list.Element{}, used: list.New()}
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
func (m *memory) keep(key string, value any, bytes int) {
	if bytes > m.most/2 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.entries[key]; ok {
		m.drop(at)
	}
	m.entries[key] = m.used.PushFront(remembered{key, value, bytes})
	m.bytes += bytes
	for m.bytes > m.most {
		m.drop(m.used.Back())
	}
}

func (m *memory) drop(at *list.Element) {
	was := m.used.Remove(at).(remembered)
	delete(m.entries, was.key)
	m.bytes -= was.bytes
}
