package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion"
	"millrace/jobs/worker/ingestion/fetch"
	"millrace/jobs/worker/ingestion/recognize"
	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/store/stores"
)

// ingestionFlags are the settings of ingestion in a worker.
type ingestionFlags struct {
	FetchNetworks    []string      `env:"FETCH_ALLOW_NETWORKS" placeholder:"CIDR" help:"Networks that sources may be fetched from though they are not public, as in 10.1.0.0/16."`
	FetchPorts       []uint16      `env:"FETCH_ALLOW_PORTS" placeholder:"PORT" help:"Ports that sources may be fetched from, beside 80 and 443."`
	PDFPages         int           `name:"pdf-pages" env:"PDF_MAX_PAGES" default:"5000" help:"Pages that a PDF may have."`
	PDFTimeout       time.Duration `name:"pdf-timeout" env:"PDF_TIMEOUT" default:"2m" help:"How long reading a file may take."`
	ExtractProcesses int           `env:"EXTRACT_PROCESSES" placeholder:"N" help:"Processes that read files, at once. Default: one for each ingestion slot, and no more than cores."`
	ExtractMemory    int           `env:"EXTRACT_MEMORY_MB" default:"640" help:"Memory that a process that reads files may use, in MB; a file that takes more is refused."`
	OCRCommand       string        `name:"ocr-command" env:"OCR_COMMAND" placeholder:"COMMAND" help:"Program that adds text to scanned PDF files, from standard input to standard output, as in 'ocrmypdf --quiet --force-ocr - -'. Default: scans are refused."`
	OCRTimeout       time.Duration `name:"ocr-timeout" env:"OCR_TIMEOUT" default:"10m" help:"How long it may take for a file, at most 15m."`
	CacheDir         string        `env:"MILLRACE_CACHE_DIR" placeholder:"DIR" help:"Folder for the compiled PDF engine, which without it is compiled in 5 s at the first PDF. Default: the user's cache folder."`
}

// openIngestion makes the workers of ingestion. The PDF engine is compiled when the first PDF comes.
func (f ingestionFlags) openIngestion(life *lifecycle, env *environment, st *stores.Set, parts *knowledgeParts, slots int) (*ingestion.Workers, error) {
	options, err := f.fetchOptions()
	if err != nil {
		return nil, configError{err}
	}
	if f.ExtractMemory != 0 && f.ExtractMemory < 256 {
		return nil, configError{errors.New("--extract-memory (EXTRACT_MEMORY_MB) must be at least 256: the PDF engine alone takes half of that")}
	}
	children := f.ExtractProcesses
	if children == 0 {
		children = min(max(slots, 1), runtime.NumCPU())
	}
	extraction, err := sandbox.New(sandbox.Options{
		Children: children, MemoryMB: f.ExtractMemory, Timeout: f.PDFTimeout, CacheDir: f.cache(), MaxPages: f.PDFPages,
	})
	if err != nil {
		return nil, err
	}
	life.onStop(extraction.Close)
	recognizer, err := f.recognizer()
	if err != nil {
		return nil, configError{err}
	}
	return ingestion.New(ingestion.Options{
		DB: st.DB, Library: st.Library, Market: st.Market, Logger: env.logger, Fetcher: fetch.New(options), Sandbox: extraction, Embedders: parts.embedders, Index: parts.index,
		Recognizer: recognizer,
	})
}

// recognizer is nil when none is set up. An attempt at an ingestion lasts 20 minutes at most.
func (f ingestionFlags) recognizer() (knowledge.Recognizer, error) {
	if f.OCRTimeout < time.Second || f.OCRTimeout > 15*time.Minute {
		return nil, fmt.Errorf("--ocr-timeout (OCR_TIMEOUT) must be from 1s to 15m: it is %s", f.OCRTimeout)
	}
	if f.OCRCommand == "" {
		return nil, nil
	}
	program, err := recognize.New(recognize.Options{Command: f.OCRCommand, Timeout: f.OCRTimeout})
	if err != nil {
		return nil, fmt.Errorf("--ocr-command (OCR_COMMAND): %w", err)
	}
	return program, nil
}

// extractCmd is the hidden verb that a worker starts itself with, to read one workspace's files.
type extractCmd struct{}

// Run serves the worker at the other end of standard input and output.
func (extractCmd) Run(*environment) error {
	if status := sandbox.Main(); status != 0 {
		return exitStatus(status)
	}
	return nil
}

// recognizeCmd is the hidden verb by which a program that recognises text has a parent that outlives the worker.
type recognizeCmd struct {
	Args []string `arg:"" passthrough:"" help:"A folder, a program and its arguments."`
}

// Run runs the program.
func (c recognizeCmd) Run(*environment) error {
	if status := recognize.Main(c.Args); status != 0 {
		return exitStatus(status)
	}
	return nil
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
