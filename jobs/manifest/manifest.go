// Package manifest says what a result was made of, carries a result with its data in one file, and makes it
// again to compare the bytes. It is pure: no I/O but the readers and writers it is given, no clock.
package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// Format is the version of the manifest's form.
const Format = "millrace.manifest/1"

// Kind is what was computed.
type Kind string

// The kinds of results.
const (
	Tune        Kind = "tune"
	WalkForward Kind = "walk_forward"
	Run         Kind = "run"
)

// Manifest is what a result was made of, and the hash of what was found.
type Manifest struct {
	Format   string          `json:"format"`
	Kind     Kind            `json:"kind"`
	ID       string          `json:"id"`
	Stamp    backtest.Stamp  `json:"stamp"`
	Spec     json.RawMessage `json:"spec"`                 // with its defaults filled in
	Config   json.RawMessage `json:"wfo_config,omitempty"` // of a walk-forward
	Leaders  int             `json:"leaders,omitempty"`    // most rows of a tune's leaderboard
	Seed     uint64          `json:"seed"`
	Datasets []Dataset       `json:"datasets"` // in the order of the request
	// Intrabar is the dataset whose bars are followed inside those of the first one; nil: a path is assumed.
	Intrabar *Dataset      `json:"intrabar,omitempty"`
	Script   *sweep.Script `json:"script,omitempty"`
	Program  Program       `json:"program"` // that wrote the result
	Result   Result        `json:"result"`
}

// Dataset is one dataset as it was read.
type Dataset struct {
	Name      string    `json:"name"`
	Symbol    string    `json:"symbol"`
	Timeframe string    `json:"timeframe"`
	Calendar  int       `json:"calendar"` // trading days a year
	Bars      int       `json:"bars"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	SHA256    string    `json:"sha256"` // of the columns, see ohlcv.Sum
	// Instrument is what was stated or found of it; figures are annualised by its periods a year.
	Instrument backtest.Instrument `json:"instrument,omitzero"`
}

// Program is the program and the machine. Neither changes a result: see ops/docs/reproduce.md.
type Program struct {
	Version  string `json:"version"` // commit
	Go       string `json:"go"`
	Platform string `json:"platform"` // as in linux/amd64
}

// ThisProgram is the running program, of the given version.
func ThisProgram(version string) Program {
	return Program{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
}

// Result is the hashes of what was found, in hex: of each part, and of all.
type Result struct {
	SHA256 string            `json:"sha256"`
	Parts  map[string]string `json:"parts"`
}

// NewResult hashes the hashes of the parts.
func NewResult(parts map[string]string) (Result, error) {
	body, err := json.Marshal(parts)
	if err != nil {
		return Result{}, fmt.Errorf("encode parts: %w", err)
	}
	return Result{SHA256: Sum(body), Parts: parts}, nil
}

// Sum is the SHA-256 of bytes, in hex.
func Sum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Canonical is the manifest in its canonical form: names sorted, no space, numbers as they were written.
func (m *Manifest) Canonical() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return Canonical(body)
}

// Canonical sorts the names of a JSON value and drops its space. Numbers keep their digits: a seed of 64 bits
// is more than a float64 can hold.
func Canonical(body []byte) ([]byte, error) {
	var value any
	in := json.NewDecoder(bytes.NewReader(body))
	in.UseNumber()
	if err := in.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Read reads a manifest in its canonical form.
func Read(body []byte) (*Manifest, error) {
	var m Manifest
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields()
	if err := in.Decode(&m); err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	if m.Format != Format {
		return nil, fmt.Errorf("the manifest has the format %q, not %q", m.Format, Format)
	}
	return &m, nil
}
