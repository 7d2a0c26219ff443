package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store/library"
	"millrace/store/stores"
)

const (
	// comparedMost bounds how many workspaces are compared: those with the most chunks.
	comparedMost = 1000
	// comparedAtOnce is how many of them the index counts at once.
	comparedAtOnce = 8
	// comparedWithin bounds a comparison.
	comparedWithin = 30 * time.Second
	// comparisonFresh is how long a comparison is served, and comparisonShare how many times as long as it
	// took: that bounds its cost to a twentieth of the time.
	comparisonFresh = 2 * time.Second
	comparisonShare = 20
	// comparisonOld is beyond use, even while the next is under way.
	comparisonOld = 10 * time.Minute
	// comparisonPatience is how long a caller waits for the next; a check has a second in all.
	comparisonPatience = 700 * time.Millisecond
)

// shortage is a workspace with fewer vectors than chunks.
type shortage struct {
	library.Holding
	Vectors int64
}

func (s shortage) missing() int64 { return s.Chunks - s.Vectors }

// compared is the outcome of one comparison of vectors with chunks.
type compared struct {
	at         time.Time
	took       time.Duration
	workspaces int   // that were compared
	all        int64 // that have chunks
	short      []shortage
	missing    map[string]int64 // by collection, those that lack none included
	err        error
}

// comparison remembers the last outcome and lets one comparison run at a time.
type comparison struct {
	mu    sync.Mutex
	last  compared
	ended chan struct{} // of the one that runs; nil: none does
}

var errComparing = errors.New("vectors are being compared with chunks, for the first time")

// compare returns the latest comparison. It waits for one that is under way only for a while.
func (v *Vectors) compare(ctx context.Context, st *stores.Set) compared {
	last, ended := v.current(st)
	if ended == nil {
		return last
	}
	timer := time.NewTimer(comparisonPatience)
	defer timer.Stop()
	select {
	case <-ended:
		v.compared.mu.Lock()
		defer v.compared.mu.Unlock()
		return v.compared.last
	case <-timer.C:
	case <-ctx.Done():
	}
	if time.Since(last.at) > comparisonOld {
		return compared{err: errComparing}
	}
	return last
}

// current starts a comparison unless the last is fresh. The channel is nil when it is.
func (v *Vectors) current(st *stores.Set) (compared, <-chan struct{}) {
	c := &v.compared
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		if time.Since(c.last.at) < max(comparisonFresh, comparisonShare*c.last.took) {
			return c.last, nil
		}
		ended, began, next := make(chan struct{}), time.Now(), compared{}
		c.ended = ended
		routine.Go(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), comparedWithin)
			defer cancel()
			next = compareVectors(ctx, v.Index, st)
			return nil
		}, func(err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			next.err = errors.Join(next.err, err)
			next.at, next.took = time.Now(), time.Since(began)
			c.last, c.ended = next, nil
			close(ended)
		})
	}
	return c.last, c.ended
}

// compareVectors counts the vectors of each workspace that has chunks. Vectors come before their chunks
// and go after them, so fewer than chunks are a loss; the chunks are read again after the vectors, as a
// document may have changed in between.
func compareVectors(ctx context.Context, index knowledge.VectorIndex, st *stores.Set) compared {
	found := compared{missing: map[string]int64{}}
	before, err := st.Library.Holdings(ctx, comparedMost)
	if err != nil {
		return compared{err: err}
	}
	counts := make([]int64, len(before))
	group, groupCtx := routine.NewGroup(ctx)
	group.Limit(comparedAtOnce)
	for i, held := range before {
		group.Run(func() (err error) {
			counts[i], err = index.Count(groupCtx, knowledge.Scope{Workspace: held.Workspace, Collection: held.Placement.Collection})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return compared{err: err}
	}
	for i, held := range before {
		found.workspaces, found.all = len(before), held.Workspaces
		found.missing[held.Placement.Collection.Name] += 0
		if counts[i] < held.Chunks {
			found.short = append(found.short, shortage{held, counts[i]})
		}
	}
	if len(found.short) > 0 {
		if found.short, err = stillShort(ctx, st, found.short); err != nil {
			return compared{err: err}
		}
	}
	for _, s := range found.short {
		found.missing[s.Placement.Collection.Name] += s.missing()
	}
	return found
}

// stillShort drops the shortages that came from a change between the two counts.
func stillShort(ctx context.Context, st *stores.Set, short []shortage) ([]shortage, error) {
	after, err := st.Library.Holdings(ctx, comparedMost)
	if err != nil {
		return nil, err
	}
	now := make(map[uuid.UUID]library.Holding, len(after))
	for _, held := range after {
		now[held.Workspace] = held
	}
	var still []shortage
	for _, s := range short {
		held := now[s.Workspace]
		s.Chunks = min(s.Chunks, held.Chunks)
		if held.Placement.Collection == s.Placement.Collection && s.missing() > 0 {
			still = append(still, s)
		}
	}
	return still, nil
}

// missing reports workspaces whose vectors are fewer than their chunks.
func (c checks) missing(ctx context.Context, r *ops.Report) {
	found := c.Vectors.compare(ctx, c.Store)
	var fault *knowledge.Fault
	switch {
	case errors.Is(found.err, errComparing):
		r.Raise(ops.StatusUnknown, found.err.Error(), "Look again in half a minute.")
		return
	case errors.As(found.err, &fault):
		r.Raise(ops.StatusError, found.err.Error(), "Is the vector index up, and does QDRANT_URL lead to it?")
		return
	case found.err != nil:
		*r = failed(*r, found.err)
		return
	}
	r.Add("workspaces_compared", found.workspaces)
	r.Add("workspaces_with_chunks", found.all)
	r.Add("workspaces_short", len(found.short))
	var missing int64
	for _, n := range found.missing {
		missing += n
	}
	r.Add("vectors_missing", missing)
	others := ""
	if n := len(found.short) - 1; n > 0 {
		others = fmt.Sprintf(", and %d more lack some", n)
	}
	for i, s := range found.short { // the one with the most chunks first
		if i == lostNamed {
			break
		}
		r.Add("workspace "+s.Workspace.String(), fmt.Sprintf("%d vectors for %d chunks of %s", s.Vectors, s.Chunks, s.Placement.Model))
		r.Raise(ops.StatusDegraded,
			fmt.Sprintf("vectors fewer than chunks: workspace %s has %d for %d chunks of %s%s",
				s.Workspace, s.Vectors, s.Chunks, s.Placement.Model, others),
			fmt.Sprintf("The index has lost them, and searches find less. Embed again: millrace admin workspace reembed %s --to %s",
				s.Workspace, s.Placement.Model.Provider))
	}
}

// missing is how many vectors each collection lacks; nil when they could not be compared.
func (m *FleetMetrics) missing(ctx context.Context) map[string]int64 {
	if m.vectors == nil {
		return nil
	}
	found := m.vectors.compare(ctx, m.store)
	if found.err != nil {
		m.logger.Warn("vectors could not be compared with chunks", "error", found.err)
	}
	return found.missing
}
