package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"

	"millrace/api/client"
	"millrace/jobs/backtest"
	"millrace/jobs/manifest"
	"millrace/jobs/pine"
	"millrace/jobs/sweep"
)

// maxBundle is the most bytes of a file of export.
const maxBundle = 1 << 30

// resultPaths are where results of each kind are.
func resultPaths() []string {
	return []string{"/backtests/tunes/", "/backtests/wfo/", "/backtests/runs/"}
}

// findResult fetches what there is of a result under the first kind that knows the id.
func findResult(ctx context.Context, api *client.Client, id, what string) ([]byte, error) {
	var err error
	for _, path := range resultPaths() {
		var body []byte
		if body, err = api.Fetch(ctx, path+id+what); err == nil {
			return body, nil
		}
		var answered *client.Error
		if !errors.As(err, &answered) || answered.Status != http.StatusNotFound {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s is not a tune, a walk-forward or a run of this workspace: %w", id, err)
}

// manifestCmd is the verb `manifest`.
type manifestCmd struct {
	clientFlags
	ID string `arg:"" help:"Tune, walk-forward or run."`
}

// Run prints the manifest in its canonical form.
func (c *manifestCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	body, err := findResult(ctx, api, c.ID, "/manifest")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.stdout, string(body))
	return err
}

// tearsheetCmd is the verb `tearsheet`.
type tearsheetCmd struct {
	clientFlags
	ID string `arg:"" help:"Tune, walk-forward or run."`
}

// Run prints the page.
func (c *tearsheetCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	body, err := findResult(ctx, api, c.ID, "/tearsheet")
	if err != nil {
		return err
	}
	_, err = env.stdout.Write(body)
	return err
}

// exportCmd is the verb `export`.
type exportCmd struct {
	clientFlags
	ID   string `arg:"" help:"Tune, walk-forward or run."`
	File string `arg:"" type:"path" help:"File to write, a zip archive."`
}

// Run writes the file.
func (c *exportCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	body, err := findResult(ctx, api, c.ID, "/export")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.File, body, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%s  %d bytes  sha256 %s\n", printable(c.File), len(body), manifest.Sum(body))
	return err
}

// reproduceCmd is the verb `reproduce`.
type reproduceCmd struct {
	clientFlags
	What    []string `arg:"" name:"id" help:"Tunes, walk-forwards or runs, or files of export."`
	Workers int      `help:"Shards computed side by side; by default one a core. The result does not depend on it."`
}

// Run makes each again and compares. The exit status is 1 unless all are the same.
func (c *reproduceCmd) Run(ctx context.Context, env *environment) error {
	differ := 0
	for _, what := range c.What {
		bundle, err := c.load(ctx, what)
		if err != nil {
			return err
		}
		report, err := bundle.Reproduce(ctx, numbers(), bindScript(bundle), c.atOnce())
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		printReport(env.stdout, report)
		if !report.Same {
			differ++
		}
	}
	if differ > 0 {
		return fmt.Errorf("%d of %d results came out otherwise", differ, len(c.What))
	}
	return nil
}

func (c *reproduceCmd) atOnce() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return runtime.NumCPU()
}

// load reads a file of export, or asks the server for one.
func (c *reproduceCmd) load(ctx context.Context, what string) (*manifest.Bundle, error) {
	if info, err := os.Stat(what); err == nil && info.Mode().IsRegular() {
		return readBundle(what)
	}
	api, err := c.open()
	if err != nil {
		return nil, err
	}
	body, err := findResult(ctx, api, what, "/export")
	if err != nil {
		return nil, err
	}
	return manifest.ReadBundle(bytes.NewReader(body), int64(len(body)))
}

// readBundle reads a file of export.
func readBundle(path string) (*manifest.Bundle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxBundle {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxBundle)
	}
	return manifest.ReadBundle(file, info.Size())
}

// bindScript binds specs to the bundle's script.
func bindScript(b *manifest.Bundle) func(*sweep.Spec) error {
	return func(spec *sweep.Spec) error {
		if spec.Script == nil {
			return nil
		}
		program, diags := pine.Compile(b.Script)
		if program == nil {
			return fmt.Errorf("the script does not compile any more: %v", diags)
		}
		spec.Bind(pine.NewStrategy(spec.StrategyName, program))
		return nil
	}
}

func printReport(out io.Writer, r *manifest.Report) {
	m := r.Manifest
	verdict := "the same bytes"
	if !r.Same {
		verdict = "DIFFERS in " + strings.Join(r.Differs, ", ")
	}
	fmt.Fprintf(out, "%s %s  engine %s  result %.12s  %s\n", m.Kind, m.ID, known(m.Stamp), m.Result.SHA256, verdict)
	if r.First != "" {
		fmt.Fprintln(out, "  first:", printable(r.First))
	}
	for _, cause := range r.Causes {
		fmt.Fprintln(out, " ", printable(cause))
	}
	if !r.Same && len(r.Causes) == 0 {
		fmt.Fprintln(out, "  data, engine and spec are those of the manifest: the program gives other results for the same number of its engine")
	}
}

func known(s backtest.Stamp) string {
	if !s.Known() {
		return "unknown"
	}
	return s.Engine
}
