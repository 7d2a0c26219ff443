package ops

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"millrace/ops/routine"
)

// Status is how a component is, or all of them together.
type Status string

// The statuses. Of several the worst counts: error, then degraded, then unknown, then ok.
const (
	StatusOK       Status = "ok"
	StatusUnknown  Status = "unknown"
	StatusDegraded Status = "degraded"
	StatusError    Status = "error"
)

// Worse returns the worse of two statuses.
func (s Status) Worse(other Status) Status {
	order := []Status{StatusOK, StatusUnknown, StatusDegraded, StatusError}
	if slices.Index(order, other) > slices.Index(order, s) {
		return other
	}
	return s
}

// Detail is one figure behind a status.
type Detail struct {
	Name  string
	Value any // nil: not known
}

// Report is what a check found.
type Report struct {
	Status  Status
	Summary string // one sentence
	Advice  string // what to do about it, empty when ok
	Runbook string // heading in ops/runbooks, as in db.md#database
	Details []Detail
}

// Add notes a figure.
func (r *Report) Add(name string, value any) { r.Details = append(r.Details, Detail{name, value}) }

// Raise makes the report as bad as a finding; the worst finding gives summary and advice.
func (r *Report) Raise(status Status, summary, advice string) {
	if r.Status == "" {
		r.Status = StatusOK
	}
	if worse := r.Status.Worse(status); worse != r.Status || r.Summary == "" {
		r.Status, r.Summary, r.Advice = worse, summary, advice
	}
}

// Check looks at one component. It should end with its context; one that does not is reported as an
// error and is not started again while it hangs.
type Check struct {
	Name string
	Run  func(ctx context.Context) Report
}

// Component is a check's report with what it took.
type Component struct {
	Name string
	Report
	Took time.Duration
}

// Overview is the state of everything that is checked.
type Overview struct {
	Status     Status
	At         time.Time
	Components []Component // in the order of the checks
}

// Health is a registry of named checks. It is safe for concurrent use.
type Health struct {
	within time.Duration
	checks []Check
	mu     sync.Mutex
	flying []*flight // one a check; nil: not running
}

// flight is one run of a check, which everyone who asks meanwhile shares.
type flight struct {
	began  time.Time
	done   chan struct{}
	report Report
	took   time.Duration
}

// NewHealth makes a registry whose checks have so long, all together.
func NewHealth(within time.Duration, checks ...Check) *Health {
	return &Health{within: within, checks: checks, flying: make([]*flight, len(checks))}
}

// Names are the names of the checks, in order.
func (h *Health) Names() []string {
	names := make([]string, len(h.checks))
	for i, c := range h.checks {
		names[i] = c.Name
	}
	return names
}

// Look runs the checks side by side and returns once all have answered or their time is over.
func (h *Health) Look(ctx context.Context) Overview {
	ctx, cancel := context.WithTimeout(ctx, h.within)
	defer cancel()
	flights := make([]*flight, len(h.checks))
	for i := range h.checks {
		flights[i] = h.start(ctx, i)
	}
	overview := Overview{Status: StatusOK, At: time.Now().UTC()}
	for i, f := range flights {
		component := Component{Name: h.checks[i].Name}
		select {
		case <-f.done:
			component.Report, component.Took = f.report, f.took
		case <-ctx.Done():
			component.Report, component.Took = f.late(h.within), time.Since(f.began)
		}
		overview.Components = append(overview.Components, component)
		overview.Status = overview.Status.Worse(component.Status)
	}
	return overview
}

// late is the report on a check that has not answered; one that answered just now counts.
func (f *flight) late(within time.Duration) Report {
	select {
	case <-f.done:
		return f.report
	default:
		return Report{
			Status:  StatusError,
			Summary: fmt.Sprintf("no answer within %v; asked %v ago", within, time.Since(f.began).Round(100*time.Millisecond)),
			Advice:  "What it depends on hangs: look whether it is up and can be reached.",
		}
	}
}

// start runs a check unless it is running. The run has its own time limit, so that it does not end with
// the request that started it.
func (h *Health) start(ctx context.Context, i int) *flight {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.flying[i]; f != nil {
		return f
	}
	f := &flight{began: time.Now(), done: make(chan struct{})}
	h.flying[i] = f
	routine.Go(func() error {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.within)
		defer cancel()
		f.report = h.checks[i].Run(own)
		return nil
	}, func(err error) {
		f.report = complete(f.report, err)
		f.took = time.Since(f.began)
		h.mu.Lock()
		h.flying[i] = nil
		h.mu.Unlock()
		close(f.done)
	})
	return f
}

// complete makes sure that a check that panics or reports nothing does not pass for one without faults.
func complete(report Report, err error) Report {
	switch {
	case err != nil:
		return Report{Status: StatusError, Summary: fmt.Sprintf("the check itself failed: %v", firstLine(err)), Details: []Detail{{"stack", err.Error()}}}
	case report.Status == "":
		report.Status, report.Summary = StatusUnknown, "the check found nothing"
	}
	return report
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
