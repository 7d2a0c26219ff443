package market

import (
	"container/list"
	"context"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"millrace/jobs/backtest"
)

// barsKept bounds the bars a process keeps decoded, in bytes.
const barsKept = 512 << 20

// barsKey has the workspace in it, so that the cache can never answer for a foreign one.
type barsKey struct{ workspace, dataset uuid.UUID }

type keptBars struct {
	key      barsKey
	bars     *backtest.Bars
	calendar backtest.Calendar
}

func (k keptBars) bytes() int { return 6 * 8 * k.bars.Len() }

// barsCache keeps the datasets lately used; concurrent readers of one share its load.
type barsCache struct {
	load singleflight.Group
	mu   sync.Mutex
	byID map[barsKey]*list.Element
	used *list.List // most recently used first
	size int
}

func newBarsCache() *barsCache {
	return &barsCache{byID: map[barsKey]*list.Element{}, used: list.New()}
}

func (c *barsCache) get(ctx context.Context, key barsKey,
	read func(context.Context) (*backtest.Bars, backtest.Calendar, error),
) (*backtest.Bars, backtest.Calendar, error) {
	if kept, ok := c.find(key); ok {
		return kept.bars, kept.calendar, nil
	}
	// One reader's cancelled request must not fail the others that wait for the same load.
	ctx = context.WithoutCancel(ctx)
	loaded, err, _ := c.load.Do(key.workspace.String()+key.dataset.String(), func() (any, error) {
		bars, calendar, err := read(ctx)
		if err != nil {
			return nil, err
		}
		kept := keptBars{key, bars, calendar}
		c.keep(kept)
		return kept, nil
	})
	if err != nil {
		return nil, 0, err
	}
	kept := loaded.(keptBars)
	return kept.bars, kept.calendar, nil
}

func (c *barsCache) find(key barsKey) (keptBars, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.byID[key]
	if element == nil {
		return keptBars{}, false
	}
	c.used.MoveToFront(element)
	return element.Value.(keptBars), true
}

func (c *barsCache) keep(kept keptBars) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[kept.key] != nil {
		return
	}
	c.byID[kept.key] = c.used.PushFront(kept)
	c.size += kept.bytes()
	for c.size > barsKept && c.used.Len() > 1 {
		last := c.used.Back()
		dropped := c.used.Remove(last).(keptBars)
		delete(c.byID, dropped.key)
		c.size -= dropped.bytes()
	}
}
