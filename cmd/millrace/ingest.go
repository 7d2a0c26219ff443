package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/ops/routine"
)

// ingestCmd is the verb `ingest`: submit every source, follow them all, print what became of each.
type ingestCmd struct {
	clientFlags
	Sources   []string `arg:"" placeholder:"FILE|URL" help:"Files, folders, and addresses."`
	Type      string   `placeholder:"TYPE" enum:",youtube,pdf,article,pine,text,dataset" default:"" help:"Type of all the sources; by default detected for each."`
	Root      string   `placeholder:"DIR" type:"existingdir" help:"Folder whose files are known by their path below it, on every machine; by default a file is known by where it is on this one."`
	Title     string   `help:"Title of the document, or name of the dataset; for one source."`
	Language  string   `placeholder:"TAG" help:"Language of the subtitles to fetch, as in en."`
	Symbol    string   `help:"Symbol of a dataset."`
	Timeframe string   `help:"Time between the bars of a dataset; by default detected."`
	Detach    bool     `help:"Submit and print the ids, without waiting."`
	JSON      bool     `help:"Print the ingestions as JSON, one a line."`
}

// submitters is how many sources are sent at once.
const submitters = 4

// Run submits the sources and follows them. Its status is 1 unless every source was ingested.
func (c *ingestCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	sources, err := expand(c.Sources)
	if err != nil {
		return err
	}
	for _, source := range sources {
		if err := source.identify(c.Root); err != nil {
			return configError{err}
		}
	}
	if c.Title != "" && len(sources) > 1 {
		return configError{fmt.Errorf("--title is for one source, and there are %d", len(sources))}
	}
	board := newIngestBoard(env.stderr, sources)
	err = c.follow(ctx, api, board)
	board.done()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		fmt.Fprintln(env.stderr, "\nWhat was submitted continues: see GET /ingest/jobs.")
		return exitStatus(130)
	}
	if err != nil {
		return err
	}
	if err := c.print(env, sources); err != nil {
		return err
	}
	failed := 0
	for _, source := range sources {
		if source.failed() {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d sources failed", failed, len(sources))
	}
	return nil
}

// follow submits while it already listens, so that no event is missed, until all have ended.
func (c *ingestCmd) follow(ctx context.Context, api *client.Client, board *ingestBoard) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work, working := routine.NewGroup(ctx)
	if !c.Detach {
		work.Run(func() error {
			err := followIngests(working, api, board)
			if board.allEnded() {
				return nil
			}
			return err
		})
	}
	work.Run(func() error {
		send, sending := routine.NewGroup(working)
		send.Limit(submitters)
		for _, source := range board.sources {
			send.Run(func() error {
				state, err := submitIngest(sending, api, source, c.request(source))
				if err != nil && fatal(err) {
					return err
				}
				if board.submitted(source, state, err) {
					return refreshIngest(sending, api, board, state.JobID)
				}
				return nil
			})
		}
		err := send.Wait()
		if err == nil && (c.Detach || board.allEnded()) {
			stop()
		}
		return err
	})
	board.onAllEnded(stop)
	err := work.Wait()
	if board.allEnded() || c.Detach && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// fatal reports whether an error is about all sources and not about one: the server is away, or the
// key is not good.
func fatal(err error) bool {
	var p *client.Error
	var file *fs.PathError
	if errors.As(err, &file) {
		return false
	}
	return !errors.As(err, &p) || p.Status == 401 || p.Status == 403 || p.Status >= 500
}

// request is what is said of a source beside its content.
func (c *ingestCmd) request(source *ingestSource) types.IngestRequest {
	req := types.IngestRequest{
		Title: c.Title, Language: c.Language, Symbol: c.Symbol, Timeframe: c.Timeframe, SourceType: types.SourceType(c.Type),
	}
	if source.isURL {
		req.URL = source.path
	} else {
		req.Name, req.Source = source.name, source.identity
	}
	return req
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// readable are the endings of the files that a folder is searched for.
var readable = []string{
	".pdf", ".md", ".markdown", ".txt", ".pine", ".html", ".htm", ".vtt", ".srt", ".json3", ".csv", ".parquet",
}

// expand puts the files of folders in the place of the folders, in order. Files and folders whose name
// begins with a dot are left out, unless they are named themselves.
func expand(given []string) ([]*ingestSource, error) {
	var all []*ingestSource
	for _, path := range given {
		info, err := os.Stat(path)
		switch {
		case isURL(path):
			all = append(all, &ingestSource{path: path, isURL: true})
		case err != nil:
			return nil, configError{err}
		case info.IsDir():
			found, err := folder(path)
			if err != nil {
				return nil, configError{err}
			}
			all = append(all, found...)
		default:
			all = append(all, &ingestSource{path: path, name: nameOf(path)})
		}
	}
	slices.SortStableFunc(all, func(a, b *ingestSource) int { return strings.Compare(a.path, b.path) })
	return slices.CompactFunc(all, func(a, b *ingestSource) bool { return a.path == b.path }), nil
}

// nameOf is how a file is shown: its path as it was named below the present folder, and only its
// own name when it is elsewhere, since where a user keeps things is nobody's business.
func nameOf(path string) string {
	if path = filepath.Clean(path); !filepath.IsLocal(path) {
		path = filepath.Base(path)
	}
	return filepath.ToSlash(path)
}

// folder finds the files to ingest in a folder; they are shown by their path in it.
func folder(root string) ([]*ingestSource, error) {
	whole, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	var all []*ingestSource
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.Type().IsRegular() && slices.Contains(readable, strings.ToLower(filepath.Ext(path))):
			below, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			all = append(all, &ingestSource{path: path, name: filepath.ToSlash(filepath.Join(filepath.Base(whole), below))})
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: no file to ingest; the endings are %s", root, strings.Join(readable, " "))
	}
	return all, err
}

// print writes a line for each source, in the order of their names.
func (c *ingestCmd) print(env *environment, sources []*ingestSource) error {
	if c.Detach && !c.JSON {
		for _, source := range sources {
			if source.err != nil {
				fmt.Fprintf(env.stderr, "%s: %s\n", printable(source.path), source.reason())
				continue
			}
			if _, err := fmt.Fprintln(env.stdout, source.state.JobID); err != nil {
				return err
			}
		}
		return nil
	}
	if c.JSON {
		for _, source := range sources {
			var line any = source.state
			if source.err != nil {
				line = map[string]string{"name": source.path, "status": "failed", "reason": source.reason()}
			}
			if err := printJSON(env.stdout, line); err != nil {
				return err
			}
		}
		return nil
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"source", "type", "status", "chunks", "document", "reason"})
	for _, source := range sources {
		s := source.state
		status := string(s.Status)
		if s.Status == types.IngestCompleted {
			status = text(s.Outcome)
		} else if source.err != nil {
			status = "failed"
		}
		writeRow(out, []string{source.path, string(s.SourceType), status, strconv.Itoa(s.Chunks), s.DocumentID, source.reason()})
	}
	return out.Flush()
}
