package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a tune is.
type progress interface {
	update(tuneState)
	done()
}

// newProgress is a bar on a terminal and plain lines elsewhere.
func newProgress(out io.Writer) progress {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return &barProgress{out: out}
	}
	return &lineProgress{out: out, percent: -1}
}

// barProgress redraws one line.
type barProgress struct {
	out io.Writer
	bar *progressbar.ProgressBar
	max int
}

func (p *barProgress) update(t tuneState) {
	if p.bar == nil || p.max != t.NTrials {
		p.max = t.NTrials
		p.bar = progressbar.NewOptions(max(t.NTrials, 1),
			progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(50*time.Millisecond),
			progressbar.OptionSetRenderBlankState(true))
	}
	p.bar.Describe(fmt.Sprintf("%-9s", t.Status) + describe(t))
	// The bar's only errors are of its writer; a terminal that is gone needs no progress.
	_ = p.bar.Set(min(t.TrialsCompleted, p.max))
}

func (p *barProgress) done() {
	if p.bar != nil {
		_ = p.bar.Exit()
		fmt.Fprintln(p.out)
	}
}

// lineProgress writes a line when the status changes and at each further tenth.
type lineProgress struct {
	out     io.Writer
	status  string
	percent int
}

func (p *lineProgress) update(t tuneState) {
	const step = 10
	percent := 0
	if t.NTrials > 0 {
		percent = 100 * t.TrialsCompleted / t.NTrials
	}
	if t.Status == p.status && percent/step == p.percent/step {
		return
	}
	p.status, p.percent = t.Status, percent
	fmt.Fprintf(p.out, "%s: %d of %d trials (%d %%)%s\n", t.Status, t.TrialsCompleted, t.NTrials, percent, describe(t))
}

func (*lineProgress) done() {}

// describe is what there is to say beside the count.
func describe(t tuneState) string {
	text := t.note
	if t.BestScore != nil {
		text += fmt.Sprintf("  best %.4g", *t.BestScore)
	}
	if t.ETASeconds != nil && !t.ended() {
		eta := time.Duration(*t.ETASeconds * float64(time.Second))
		text += "  " + eta.Round(max(time.Second/10, eta/100)).Truncate(time.Second/10).String() + " left"
	}
	return text
}
