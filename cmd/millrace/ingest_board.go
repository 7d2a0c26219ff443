package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"millrace/api/types"
)

// ingestBoard keeps the state of many ingestions and shows it: as one bar on a terminal, elsewhere as
// a line for each that ends or waits. It is safe for concurrent use.
type ingestBoard struct {
	sources []*ingestSource
	out     io.Writer
	bar     *progressbar.ProgressBar // nil: lines

	mu    sync.Mutex
	byJob map[string]*ingestSource
	early map[string]bool // had events before their submission was answered
	ended int
	bad   int
	all   func() // called once, when all have ended
}

func newIngestBoard(out io.Writer, sources []*ingestSource) *ingestBoard {
	b := &ingestBoard{sources: sources, out: out, byJob: map[string]*ingestSource{}, early: map[string]bool{}}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		b.bar = progressbar.NewOptions(100*max(len(sources), 1),
			progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(50*time.Millisecond), progressbar.OptionSetRenderBlankState(true))
	}
	return b
}

// onAllEnded has fn called when the last source has ended, at once if it has already.
func (b *ingestBoard) onAllEnded(fn func()) {
	b.mu.Lock()
	b.all = fn
	done := b.ended == len(b.sources)
	b.mu.Unlock()
	if done {
		fn()
	}
}

func (b *ingestBoard) allEnded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended == len(b.sources)
}

// submitted takes the answer to a source's submission. It is true when there have been events about
// it before, so that its row has to be read again.
func (b *ingestBoard) submitted(source *ingestSource, state *types.Ingest, err error) (again bool) {
	b.mu.Lock()
	defer b.unlock()
	source.err = err
	if err == nil {
		source.state = *state
		b.byJob[state.JobID] = source
		again = b.early[state.JobID]
		delete(b.early, state.JobID)
	}
	b.changed(source, false)
	return again
}

// update takes a newer state of an ingestion. What has ended does not change any more.
func (b *ingestBoard) update(state types.Ingest) {
	b.mu.Lock()
	defer b.unlock()
	source := b.byJob[state.JobID]
	if source == nil {
		b.early[state.JobID] = true
		return
	}
	if source.ended() {
		return
	}
	was := source.state.Status
	source.state = state
	b.changed(source, was == state.Status)
}

// changed counts and shows a source whose state is new; same is true when its status is not.
func (b *ingestBoard) changed(source *ingestSource, same bool) {
	if source.ended() {
		b.ended++
		if source.failed() {
			b.bad++
		}
	}
	if b.bar != nil {
		b.draw(source)
		return
	}
	switch {
	case source.failed():
		fmt.Fprintf(b.out, "%d of %d  %s: %s\n", b.ended, len(b.sources), printable(source.path), source.reason())
	case source.ended():
		fmt.Fprintf(b.out, "%d of %d  %s: %s, %s\n", b.ended, len(b.sources), printable(source.path), printable(text(source.state.Outcome)), counted(source.state.Chunks, "chunk"))
	case source.state.Status == "retrying" && !same:
		fmt.Fprintf(b.out, "%s waits: %s\n", printable(source.path), source.reason())
	}
}

// unlock calls the listener, outside the lock, once all have ended.
func (b *ingestBoard) unlock() {
	all := b.all
	if b.ended < len(b.sources) {
		all = nil
	} else {
		b.all = nil
	}
	b.mu.Unlock()
	if all != nil {
		all()
	}
}

// share of a source's work that each stage begins at, in percent, and its length.
var stages = map[string][2]int{"queued": {0, 0}, "fetch": {2, 8}, "extract": {10, 40}, "embed": {50, 45}, "save": {95, 5}}

// draw moves the bar: a hundredth of a source is its unit.
func (b *ingestBoard) draw(source *ingestSource) {
	total := 0
	for _, s := range b.sources {
		total += s.percent()
	}
	text := fmt.Sprintf("%d of %d", b.ended, len(b.sources))
	if b.bad > 0 {
		text += fmt.Sprintf(", %d failed", b.bad)
	}
	if !source.ended() {
		text += "  " + printable(filepath.Base(source.path)) + " " + printable(source.state.Progress.Stage)
		if source.state.Progress.Total > 0 {
			text += fmt.Sprintf(" %d/%d", source.state.Progress.Done, source.state.Progress.Total)
		}
	}
	b.bar.Describe(text)
	_ = b.bar.Set(total)
}

func (s *ingestSource) percent() int {
	if s.ended() {
		return 100
	}
	at := stages[s.state.Progress.Stage]
	percent := at[0]
	if p := s.state.Progress; p.Total > 0 {
		percent += at[1] * min(p.Done, p.Total) / p.Total
	}
	return percent
}

// waiting are the ids of the ingestions that have not ended.
func (b *ingestBoard) waiting() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id, source := range b.byJob {
		if !source.ended() {
			ids = append(ids, id)
		}
	}
	return ids
}

func (b *ingestBoard) knows(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byJob[id] != nil
}

func (b *ingestBoard) done() {
	if b.bar != nil {
		_ = b.bar.Exit()
		fmt.Fprintln(b.out)
	}
}
