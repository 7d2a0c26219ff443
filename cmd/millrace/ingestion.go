package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"millrace/jobs/worker/ingestion"
	"millrace/jobs/worker/ingestion/fetch"
	"millrace/jobs/worker/ingestion/pdf"
	"millrace/store/stores"
)

// ingestionFlags are the settings of ingestion in a worker.
type ingestionFlags struct {
	FetchNetworks []string      `env:"FETCH_ALLOW_NETWORKS" placeholder:"CIDR" help:"Networks that sources may be fetched from though they are not public, as in 10.1.0.0/16."`
	FetchPorts    []uint16      `env:"FETCH_ALLOW_PORTS" placeholder:"PORT" help:"Ports that sources may be fetched from, beside 80 and 443."`
	PDFPages      int           `name:"pdf-pages" env:"PDF_MAX_PAGES" default:"5000" help:"Pages that a PDF may have."`
	PDFTimeout    time.Duration `name:"pdf-timeout" env:"PDF_TIMEOUT" default:"2m" help:"How long reading a PDF may take."`
	CacheDir      string        `env:"MILLRACE_CACHE_DIR" placeholder:"DIR" help:"Folder for the compiled PDF engine, which without it is compiled in 5 s at the first PDF. Default: the user's cache folder."`
}

// openIngestion makes the workers of ingestion. The PDF engine is compiled when the first PDF comes.
func (f ingestionFlags) openIngestion(life *lifecycle, env *environment, st *stores.Set, parts *knowledgeParts, slots int) (*ingestion.Workers, error) {
	options, err := f.fetchOptions()
	if err != nil {
		return nil, configError{err}
	}
	engine := pdf.New(pdf.Options{CacheDir: f.cache(), Sandboxes: max(slots, 1), MaxPages: f.PDFPages, Timeout: f.PDFTimeout})
	life.onStop(engine.Close)
	return ingestion.New(ingestion.Options{
		Store: st, Logger: env.logger, Fetcher: fetch.New(options), PDF: engine, Embedders: parts.embedders, Index: parts.index,
	})
}

// fetchOptions say what sources may be fetched from.
func (f ingestionFlags) fetchOptions() (fetch.Options, error) {
	options := fetch.Options{AllowPorts: f.FetchPorts}
	for _, text := range f.FetchNetworks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return options, fmt.Errorf("--fetch-networks (FETCH_ALLOW_NETWORKS): %q is not a network such as 10.1.0.0/16", text)
		}
		options.AllowNetworks = append(options.AllowNetworks, network.Masked())
	}
	return options, nil
}

// cache is where the compiled PDF engine is kept; "" when there is no such place.
func (f ingestionFlags) cache() string {
	if f.CacheDir != "" {
		return f.CacheDir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "millrace", "wasm")
}
