package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"millrace/ops/routine"
	"millrace/store/tenants"
)

// passes watches what opened the streams of this process: a key that is revoked, a session that ends or a
// role that changes, in whichever process, ends its streams within a second or two. It asks the database
// once a period for all of them, and not at all while no stream is open.
type passes struct {
	ended  func(context.Context, []tenants.Credential) ([]tenants.Credential, error)
	period time.Duration
	failed func(error) // gets what stopped the watch, which begins again with the next stream

	mu   sync.Mutex
	open map[tenants.Credential]*watchedPass
	stop context.CancelFunc // of the watch that runs; nil: none does
}

type watchedPass struct {
	over    chan struct{} // closed when the credential has ended
	streams map[*watcher]struct{}
}

// watcher is a stream; cut bounds the write that it may be in.
type watcher struct{ cut func() }

// watch returns a channel that is closed when the credential has ended, and what ends the watch. Of no
// credential the channel is nil. cut is called then, too: a stream that waits for its client to read does not see the channel.
func (p *passes) watch(credential *tenants.Credential, cut func()) (over <-chan struct{}, unwatch func()) {
	if credential == nil {
		return nil, func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.open[*credential]
	if w == nil {
		w = &watchedPass{over: make(chan struct{}), streams: map[*watcher]struct{}{}}
		p.open[*credential] = w
	}
	stream := &watcher{cut}
	w.streams[stream] = struct{}{}
	if p.stop == nil {
		var ctx context.Context
		ctx, p.stop = context.WithCancel(context.Background())
		routine.Go(func() error { p.run(ctx); return nil }, func(err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if ctx.Err() == nil {
				p.stop = nil
			}
			if err != nil {
				p.failed(err)
			}
		})
	}
	return w.over, sync.OnceFunc(func() { p.unwatch(*credential, w, stream) })
}

func (p *passes) unwatch(credential tenants.Credential, w *watchedPass, stream *watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(w.streams, stream); len(w.streams) == 0 && p.open[credential] == w {
		delete(p.open, credential)
	}
	if len(p.open) == 0 && p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// run asks until no stream is open. A database that is away ends nothing.
func (p *passes) run(ctx context.Context) {
	ticker := time.NewTicker(p.period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		all := slices.Collect(maps.Keys(p.open))
		p.mu.Unlock()
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		ended, err := p.ended(asking, all)
		cancel()
		if err != nil {
			continue // the database's state is reported by health
		}
		// A workspace ends with its keys; streams that both end see that it is the workspace.
		slices.SortStableFunc(ended, func(a, b tenants.Credential) int {
			return cmp.Compare(rank(a.Kind), rank(b.Kind))
		})
		p.mu.Lock()
		for _, credential := range ended {
			if w := p.open[credential]; w != nil {
				close(w.over)
				for stream := range w.streams {
					stream.cut()
				}
				delete(p.open, credential)
			}
		}
		p.mu.Unlock()
	}
}

// rank has workspaces come first.
func rank(kind tenants.CredentialKind) int {
	if kind == tenants.CredentialWorkspace {
		return 0
	}
	return 1
}
