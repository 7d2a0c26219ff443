package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"millrace/api/types"
)

// shown is how far a tune or a walk-forward is.
type shown struct {
	status       string
	trials, done int
	share        float64 // of all work, permutations included
	best         *float64
	eta          *float64 // seconds; nil once it has ended
	note         string   // more to say beside the count
}

func tuneProgress(t types.Tune) shown {
	s := shown{status: string(t.Status), trials: t.NTrials, done: t.TrialsCompleted, share: t.ShareDone, best: t.BestScore}
	if t.PermutationTrials > 0 && !t.Status.Ended() {
		s.note = fmt.Sprintf("  and %s on permuted bars", counted(t.PermutationTrials, "trial"))
	}
	if !t.Status.Ended() {
		s.eta = t.ETASeconds
	}
	return s
}

func wfoProgress(w types.WFO) shown {
	s := shown{status: string(w.Status), trials: w.NTrials, done: w.TrialsCompleted, note: fmt.Sprintf("  folds %d of %d", w.FoldsDone, w.NFolds)}
	if w.NTrials > 0 {
		s.share = float64(w.TrialsCompleted) / float64(w.NTrials)
	}
	if w.FoldsFailed > 0 {
		s.note += fmt.Sprintf(" (%d failed)", w.FoldsFailed)
	}
	if !w.Status.Ended() {
		s.eta = w.ETASeconds
	}
	return s
}

// progress shows how far a tune or a walk-forward is.
type progress interface {
	update(shown)
	done()
}

// newProgress is a bar on a terminal and plain lines elsewhere.
func newProgress(out io.Writer) progress {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return &barProgress{out: out}
	}
	return &lineProgress{out: out, percent: -1}
}

const barSteps = 1000 // of a whole bar

// barProgress redraws one line.
type barProgress struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

func (p *barProgress) update(t shown) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions(barSteps,
			progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(30),
			progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(50*time.Millisecond),
			progressbar.OptionSetRenderBlankState(true))
	}
	p.bar.Describe(fmt.Sprintf("%-9s %d of %s", t.status, t.done, counted(t.trials, "trial")) + describe(t))
	// The bar's only errors are of its writer; a terminal that is gone needs no progress.
	_ = p.bar.Set(int(barSteps * t.share))
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

func (p *lineProgress) update(t shown) {
	const step = 10
	percent := int(100 * t.share)
	if t.status == p.status && percent/step == p.percent/step {
		return
	}
	p.status, p.percent = t.status, percent
	fmt.Fprintf(p.out, "%s: %d of %s (%d %%)%s\n", t.status, t.done, counted(t.trials, "trial"), percent, describe(t))
}

func (*lineProgress) done() {}

// describe is what there is to say beside the count.
func describe(t shown) string {
	text := t.note
	if t.best != nil {
		text += fmt.Sprintf("  best %.4g", *t.best)
	}
	if t.eta != nil {
		eta := time.Duration(*t.eta * float64(time.Second))
		text += "  " + eta.Round(max(time.Second/10, eta/100)).Truncate(time.Second/10).String() + " left"
	}
	return text
}
