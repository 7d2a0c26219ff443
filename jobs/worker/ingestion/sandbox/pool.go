package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"millrace/jobs/knowledge"
	"millrace/ops/routine"
)

// Options make a Pool. Zero fields take their defaults.
type Options struct {
	// Command is the program that is a child, and its arguments; default: this program with Verb.
	Command  []string
	Children int           // alive at once; default 2
	MemoryMB int           // private memory of a child; default 640
	Timeout  time.Duration // for a file, wall and processor time; default 2 min
	Idle     time.Duration // after which a child ends; default 30 s
	Files    int           // of a child's life; default 200
	CacheDir string        // for the compiled PDF engine; "": compiled again in each child
	MaxPages int           // of a PDF; default 5,000
	// ResultMB bounds the results that are held at once, in this process; default 64. A larger one is
	// held alone.
	ResultMB int64
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Command) == 0 {
		program, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find this program: %w", err)
		}
		o.Command = []string{program, Verb}
	}
	for _, field := range []struct {
		of  *int
		def int
	}{{&o.Children, 2}, {&o.MemoryMB, 640}, {&o.Files, 200}, {&o.MaxPages, 5000}} {
		if *field.of == 0 {
			*field.of = field.def
		}
	}
	if o.ResultMB == 0 {
		o.ResultMB = 64
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.Idle == 0 {
		o.Idle = 30 * time.Second
	}
	return o, nil
}

// Pool starts children and hands files to them. It is safe for concurrent use.
type Pool struct {
	opts    Options
	slots   *semaphore.Weighted // of children that work
	results *semaphore.Weighted // bytes
	mu      sync.Mutex
	idle    []*process // the longest idle first
	working int
	closed  bool
}

// New makes a pool that has no children yet.
func New(opts Options) (*Pool, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Pool{opts: opts, slots: semaphore.NewWeighted(int64(opts.Children)), results: semaphore.NewWeighted(opts.ResultMB << 20)}, nil
}

var errClosed = errors.New("the extraction pool is closed")

// Extract has a child extract one file of a workspace. source writes the file's content; progress, which
// may be nil, is called with the pages done. A file that is damaged, or over a limit of memory, time or
// size, is a *knowledge.Rejection. Waiting for a child is not the file's time. Release the result.
func (p *Pool) Extract(ctx context.Context, workspace uuid.UUID, req Request, source func(io.Writer) error, progress func(done, total int)) (*Result, error) {
	if err := p.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer p.slots.Release(1)
	child, err := p.take(workspace)
	if err != nil {
		return nil, err
	}
	result, err := p.run(ctx, child, req, source, progress)
	p.give(child, err == nil && !result.Heavy || reusable(err))
	return result, err
}

// reusable reports whether the child that answered with err can serve the next file.
func reusable(err error) bool {
	var rejected *answeredError
	return errors.As(err, &rejected)
}

// answeredError is a failure that the child itself reported.
type answeredError struct{ error }

// Unwrap gives the failure.
func (a *answeredError) Unwrap() error { return a.error }

// run is one file's way through a child. The time limit ends with the header: from there on it is this
// process that is waited for.
func (p *Pool) run(ctx context.Context, child *process, req Request, source func(io.Writer) error, report func(done, total int)) (*Result, error) {
	limited, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	stop := routine.OnDone(limited, child.kill)
	defer stop()
	var result *Result
	sourceErr, err := child.send(req, source)
	if err == nil {
		result, err = child.header(report)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case sourceErr != nil:
		return nil, sourceErr
	case err == nil:
	case limited.Err() != nil:
		return nil, p.tooSlow()
	default:
		return nil, p.failure(child, err)
	}
	stop()
	// The budget is waited for without the time limit, but still ends with ctx.
	ended := routine.OnDone(ctx, child.kill)
	defer ended()
	weight := min(result.Bytes, p.opts.ResultMB<<20)
	if err := p.results.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	var once sync.Once
	result.release = func() { once.Do(func() { p.results.Release(weight) }) }
	if err := child.rest(result); err != nil {
		result.Release()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, p.failure(child, err)
	}
	return result, nil
}

func (p *Pool) tooSlow() error {
	return knowledge.Rejectf("the file takes over %s to read: it may be damaged, or made to be slow", p.opts.Timeout)
}

// failure says why a child gave no result. What it reported itself stands; a child that died says by its
// end which limit it met.
func (p *Pool) failure(child *process, err error) error {
	var answered *answeredError
	if errors.As(err, &answered) {
		return err
	}
	switch child.end() {
	case endMemory:
		return knowledge.Rejectf("reading the file takes over %d MB of memory: it may be damaged, or made to do harm; else split it", p.opts.MemoryMB)
	case endTime:
		return p.tooSlow()
	}
	return fmt.Errorf("the extraction process failed: %w: %s", err, child.lastWords())
}

// take returns a child of the workspace, started if there is none. Another workspace's child gives way.
func (p *Pool) take(workspace uuid.UUID) (*process, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	p.working++
	for i := len(p.idle) - 1; i >= 0; i-- {
		if child := p.idle[i]; child.workspace == workspace {
			p.idle = append(p.idle[:i:i], p.idle[i+1:]...)
			p.mu.Unlock()
			child.expiry()
			return child, nil
		}
	}
	var evicted *process
	if len(p.idle)+p.working > p.opts.Children {
		evicted, p.idle = p.idle[0], p.idle[1:]
	}
	p.mu.Unlock()
	if evicted != nil {
		evicted.expiry()
		evicted.close()
	}
	child, err := start(p.opts, workspace)
	if err != nil {
		p.mu.Lock()
		p.working--
		p.mu.Unlock()
	}
	return child, err
}

// give takes a child back. One that is not kept has ended when give returns, so that the memory of
// children stays within its bound.
func (p *Pool) give(child *process, keep bool) {
	child.files++
	p.mu.Lock()
	p.working--
	keep = keep && !p.closed && child.files < p.opts.Files
	if keep {
		limit, cancel := context.WithTimeout(context.Background(), p.opts.Idle)
		stop := routine.OnDone(limit, func() { p.expire(child) })
		child.expiry = func() { stop(); cancel() }
		p.idle = append(p.idle, child)
	}
	p.mu.Unlock()
	if !keep {
		child.close()
	}
}

// expire ends a child that was idle for long.
func (p *Pool) expire(child *process) {
	p.mu.Lock()
	found := false
	for i := range p.idle {
		if p.idle[i] == child {
			p.idle, found = append(p.idle[:i:i], p.idle[i+1:]...), true
			break
		}
	}
	p.mu.Unlock()
	if found {
		child.close()
	}
}

// Close ends the idle children; those that work end with their files. Safe to call twice.
func (p *Pool) Close(context.Context) error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, child := range idle {
		child.expiry()
		child.close()
	}
	return nil
}
