package health

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"millrace/events"
	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/store"
	"millrace/store/stores"
)

// Within is the time that all checks have, side by side.
const Within = time.Second

// Vectors is the index that this process searches. The collections that are looked at are those that
// hold what was ingested.
type Vectors struct {
	Kind  string // qdrant or embedded
	Index knowledge.VectorIndex

	compared comparison
}

// LLM names the language model that this process asks; the zero value says that there is none.
type LLM struct{ Provider, Model string }

// Options make the checks.
type Options struct {
	// Store asks the database, best on a pool of its own: the checks must see a full pool, not stand
	// in its queue.
	Store *stores.Set
	// Main is the store on whose pool the process does its work; nil: it does none.
	Main *stores.Set
	// Feed is this process's part in the event feed; nil: it has none.
	Feed    func() events.Status
	Vectors *Vectors // nil: not set up in this process
	LLM     LLM
	// CertificateEnds is when the certificate ends that this process serves TLS with; nil: it serves none.
	CertificateEnds func() time.Time
	// Embed embeds a word, to see whether the embedder answers; nil: not set up in this process.
	Embed func(ctx context.Context) error
}

// checks are what the components are looked at with.
type checks struct{ Options }

// New makes the registry of the components.
func New(opts Options) *ops.Health {
	c := checks{opts}
	return ops.NewHealth(Within,
		ops.Check{Name: "database", Run: c.database},
		ops.Check{Name: c.vectorsName(), Run: c.vectors},
		ops.Check{Name: "llm", Run: c.llm},
		ops.Check{Name: "sse", Run: c.sse},
		ops.Check{Name: "retention", Run: c.retention},
		ops.Check{Name: "idempotency", Run: c.idempotency},
		ops.Check{Name: "tunes", Run: c.tunes},
		ops.Check{Name: "ingestion", Run: c.ingestion},
		ops.Check{Name: "schedules", Run: c.schedules},
		ops.Check{Name: "webhooks", Run: c.webhooks},
		ops.Check{Name: "credentials", Run: c.credentials},
		ops.Check{Name: "audit", Run: c.audit},
	)
}

// Remembered calls fn no more often than once in a while for as long as it succeeds: a probe of an
// embedder that is paid for by the call must not cost a call every few seconds.
func Remembered(keep time.Duration, fn func(context.Context) error) func(context.Context) error {
	var last atomic.Int64
	return func(ctx context.Context) error {
		if time.Since(time.Unix(0, last.Load())) < keep {
			return nil
		}
		if err := fn(ctx); err != nil {
			return err
		}
		last.Store(time.Now().UnixNano())
		return nil
	}
}

// failed is the report on a component that could not be looked at: nothing is known of it, and that
// is an error.
func failed(report ops.Report, err error) ops.Report {
	advice := "Look at the database first: what cannot be asked cannot be well."
	if !store.Transient(err) {
		advice = "Compare the schema with this version: millrace migrate status."
	}
	report.Raise(ops.StatusError, err.Error(), advice)
	return report
}

// milliseconds is a duration for people, to a tenth.
func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e4) / 10 }

// ago is how long a moment is past, for people.
func ago(now time.Time, at *time.Time) string {
	if at == nil {
		return "never"
	}
	return fmt.Sprintf("%v ago", now.Sub(*at).Round(time.Second))
}
