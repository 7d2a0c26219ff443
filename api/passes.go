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
	streams map[*watcher]struct{}
}

// watcher waits for the end of a credential.
type watcher struct{ over func() }

// watch has over called, which must not wait for anything, when the credential has ended, and returns what ends the
// watch. Nothing is ever called of no credential.
func (p *passes) watch(credential *tenants.Credential, over func()) (unwatch func()) {
	if credential == nil {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.open[*credential]
	if w == nil {
		w = &watchedPass{streams: map[*watcher]struct{}{}}
		p.open[*credential] = w
	}
	by := &watcher{over}
	w.streams[by] = struct{}{}
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
	return func() { p.unwatch(*credential, w, by) }
}

func (p *passes) unwatch(credential tenants.Credential, w *watchedPass, by *watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(w.streams, by); len(w.streams) == 0 && p.open[credential] == w {
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
				delete(p.open, credential)
				for by := range w.streams {
					by.over()
				}
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
