package pdf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Options bound an engine. Zero fields take their defaults.
type Options struct {
	CacheDir  string        // for the compiled engine, about 22 MB; "": compiled in each process
	Sandboxes int           // files read at once; default 2
	MaxBytes  int           // of a file; default 100 MB
	MaxPages  int           // of a file; default 5,000
	MaxText   int           // characters of a file; default 20 million
	MemoryMB  int           // of a sandbox; default 512
	Timeout   time.Duration // for a file; default 2 min
}

func (o Options) withDefaults() Options {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	def(&o.Sandboxes, 2)
	def(&o.MaxBytes, 100<<20)
	def(&o.MaxPages, 5000)
	def(&o.MaxText, 20_000_000)
	def(&o.MemoryMB, 512)
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	return o
}

// Engine reads PDF files. It is safe for concurrent use. Making one costs nothing: the first Read
// compiles it.
type Engine struct {
	opts   Options
	mu     sync.Mutex
	pool   pdfium.Pool
	cache  wazero.CompilationCache
	closed bool
}

// New makes an engine.
func New(opts Options) *Engine { return &Engine{opts: opts.withDefaults()} }

// errClosed is a Read after Close.
var errClosed = errors.New("the PDF engine is closed")

// start compiles the engine, or returns the one that is there.
func (e *Engine) start() (pdfium.Pool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	if e.pool != nil {
		return e.pool, nil
	}
	const wasmPage = 64 << 10
	config := wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithCloseOnContextDone(true). // or a kill would wait for the engine to return
		WithMemoryLimitPages(uint32(e.opts.MemoryMB << 20 / wasmPage))
	if cache := e.openCache(); cache != nil {
		e.cache = cache
		config = config.WithCompilationCache(cache)
	}
	pool, err := webassembly.Init(webassembly.Config{
		MaxTotal: e.opts.Sandboxes, RuntimeConfig: config,
		FSConfig: wazero.NewFSConfig(), // the library's default is the whole file system
		Stdout:   io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("compile the PDF engine: %w", err)
	}
	e.pool = pool
	return pool, nil
}

// openCache opens the cache folder; one that cannot be used costs time, not the file.
func (e *Engine) openCache() wazero.CompilationCache {
	if e.opts.CacheDir == "" {
		return nil
	}
	cache, err := wazero.NewCompilationCacheWithDir(e.opts.CacheDir)
	if err != nil {
		return nil
	}
	return cache
}

// Close frees the engine. Files that are being read fail. Safe to call twice.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	if e.pool == nil {
		return nil
	}
	err := e.pool.Close()
	if e.cache != nil {
		err = errors.Join(err, e.cache.Close(ctx))
	}
	if err != nil {
		return fmt.Errorf("close the PDF engine: %w", err)
	}
	return nil
}
