package sweep

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
)

// NearMiss is what a tune's limits exclude: how many trials each, which of them miss by least, and the
// limits that admit those.
type NearMiss struct {
	TooDeep      int        // trials above the drawdown gate
	TooFewTrades int        // trials below the trades gate that are not too deep
	Trials       []Trial    // the ones that miss by least, the best score first
	Relaxed      GateLimits // admits Trials; nil where the tune's own limit does
}

// Nearest looks for the trials that the gates of a tune exclude by least. What a trial misses by is the
// larger of the shares of the two limits by which it misses them. Other reasons than gates do not count:
// no limit admits a trial without a score.
type Nearest struct {
	spec Spec
	most int
	near missHeap
	out  NearMiss
}

// NewNearest keeps at most most trials.
func NewNearest(spec Spec, most int) *Nearest {
	return &Nearest{spec: spec.normalized(), most: most}
}

// miss is a trial that a gate excludes.
type miss struct {
	by    float64
	trial Trial
}

// missHeap has the trial that misses by most first; of two alike the later one.
type missHeap []miss

func (h missHeap) Len() int { return len(h) }
func (h missHeap) Less(a, b int) bool {
	if h[a].by != h[b].by {
		return h[a].by > h[b].by
	}
	return h[a].trial.Index > h[b].trial.Index
}
func (h missHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }
func (h *missHeap) Push(v any)   { *h = append(*h, v.(miss)) }
func (h *missHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// Add looks at a shard's trials. Shards come in order.
func (n *Nearest) Add(c *Columns) {
	part := 0
	if n.spec.gatesOOS() {
		part = 1
	}
	for i, v := range c.cols.verdicts {
		switch v {
		case tooDeep:
			n.out.TooDeep++
		case tooFewTrades:
			n.out.TooFewTrades++
		default:
			continue
		}
		by := n.misses(shortest(c.cols.figures[2+part][i]), int(c.cols.trades[part][i]))
		if len(n.near) == n.most {
			if n.most == 0 || by >= n.near[0].by {
				continue
			}
			heap.Pop(&n.near)
		}
		heap.Push(&n.near, miss{by, c.Trial(i)})
	}
}

func (n *Nearest) misses(drawdown float64, trades int) float64 {
	limit, least := *n.spec.Gates.MaxDrawdownPct, float64(*n.spec.Gates.MinTrades)
	return max((drawdown-limit)/max(limit, 1), (least-float64(trades))/max(least, 1), 0)
}

// Result is what was found so far.
func (n *Nearest) Result() NearMiss {
	out := n.out
	near := slices.Clone(n.near)
	slices.SortFunc(near, func(a, b miss) int {
		return cmp.Or(cmp.Compare(*b.trial.Score, *a.trial.Score), cmp.Compare(a.trial.Index, b.trial.Index))
	})
	for _, m := range near {
		out.Trials = append(out.Trials, m.trial)
		drawdown, trades := m.trial.MaxDrawdownIS, m.trial.TradesIS
		if n.spec.gatesOOS() {
			drawdown, trades = m.trial.MaxDrawdownOOS, *m.trial.TradesOOS
		}
		if drawdown != nil && *drawdown > *n.spec.Gates.MaxDrawdownPct {
			whole := math.Min(math.Ceil(*drawdown+1e-4), maxDrawdownPct) // a float32's figure may be below the exact one
			if out.Relaxed.MaxDrawdownPct == nil || whole > *out.Relaxed.MaxDrawdownPct {
				out.Relaxed.MaxDrawdownPct = &whole
			}
		}
		if trades < *n.spec.Gates.MinTrades && (out.Relaxed.MinTrades == nil || trades < *out.Relaxed.MinTrades) {
			out.Relaxed.MinTrades = &trades
		}
	}
	return out
}
