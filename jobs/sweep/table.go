package sweep

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
)

// Table is every trial of a tune that has ended, in order. Its bytes do not depend on how the trials were
// sharded.
type Table struct {
	names []string
	cols  columns
}

// NewTable makes an empty table of trials over the named parameters.
func NewTable(names []string) *Table {
	return &Table{names: names, cols: newColumns(len(names), 0)}
}

// Add appends the trials of a shard from its stored columns; shards come in order.
func (t *Table) Add(sh Shard, data []byte) error {
	if sh.First != t.cols.len() {
		return fmt.Errorf("shard %d begins at trial %d, not at %d", sh.Index, sh.First, t.cols.len())
	}
	raw, err := openPlanes(data, len(t.names), sh.Trials)
	if err != nil {
		return fmt.Errorf("columns of shard %d: %w", sh.Index, err)
	}
	t.cols.appendPlanes(raw, sh.Trials)
	return nil
}

// Len is the number of trials.
func (t *Table) Len() int { return t.cols.len() }

// Bytes are the trials as they are kept in a file: the columns of the shards, without compression.
func (t *Table) Bytes() []byte { return t.cols.planes() }

// sum is the SHA-256 of planes, without their memory.
func (c *columns) sum() (sum [sha256.Size]byte) {
	hash := sha256.New()
	c.eachPlane(func(piece []byte) { _, _ = hash.Write(piece) })
	hash.Sum(sum[:0])
	return sum
}

// ReadTable is the inverse of Bytes.
func ReadTable(names []string, data []byte) (*Table, error) {
	if len(data) < headerBytes || data[0] != columnsVersion {
		return nil, errors.New("trials of another version")
	}
	n := int(binary.LittleEndian.Uint32(data[1:]))
	if len(data) != headerBytes+(rowBytes+8*len(names))*n {
		return nil, fmt.Errorf("%d bytes are not %d trials of %d parameters", len(data), n, len(names))
	}
	return &Table{names: names, cols: *readPlanes(data[headerBytes:], len(names), n)}, nil
}

// Trials yields the whole table as one shard's.
func (t *Table) Trials(spec Spec) iter.Seq2[*Columns, error] {
	return func(yield func(*Columns, error) bool) {
		cols := *t.cols.slice(0, t.cols.len())
		for i := range cols.scores {
			cols.scores[i] = slices.Clone(cols.scores[i]) // scores of rungs are taken out
		}
		spec = spec.normalized()
		yield(&Columns{spec: spec, shard: Shard{Trials: t.Len()}, names: t.names, cols: &cols, rungScores: cols.takeRungScores(spec)}, nil)
	}
}

// Difference is the first trial that differs between two tables, and its first figure that does.
type Difference struct {
	Trial  int // -1: the tables have other numbers of trials
	Figure string
	Was    float64
	Is     float64
}

// FirstDifference compares the table with one computed again; nil when they are equal to the bit.
func (t *Table) FirstDifference(is *Table) *Difference {
	if t.Len() != is.Len() {
		return &Difference{Trial: -1, Figure: "trials", Was: float64(t.Len()), Is: float64(is.Len())}
	}
	var first *Difference
	consider := func(name string, n int, was, is func(int) float64) {
		if first != nil {
			n = min(n, first.Trial)
		}
		for i := range n {
			if a, b := was(i), is(i); math.Float64bits(a) != math.Float64bits(b) {
				first = &Difference{Trial: i, Figure: name, Was: a, Is: b}
				return
			}
		}
	}
	a, b, n := &t.cols, &is.cols, t.Len()
	for k, name := range t.names {
		consider("params."+name, n, func(i int) float64 { return a.params[k][i] }, func(i int) float64 { return b.params[k][i] })
	}
	consider("status", n, func(i int) float64 { return float64(a.verdicts[i]) }, func(i int) float64 { return float64(b.verdicts[i]) })
	for k, name := range []string{"score_is", "score_oos"} {
		consider(name, n, func(i int) float64 { return a.scores[k][i] }, func(i int) float64 { return b.scores[k][i] })
	}
	for k, name := range []string{"return_pct_is", "return_pct_oos", "max_drawdown_pct_is", "max_drawdown_pct_oos"} {
		consider(name, n, func(i int) float64 { return float64(a.figures[k][i]) }, func(i int) float64 { return float64(b.figures[k][i]) })
	}
	for k, name := range []string{"trades_is", "trades_oos"} {
		consider(name, n, func(i int) float64 { return float64(a.trades[k][i]) }, func(i int) float64 { return float64(b.trades[k][i]) })
	}
	return first
}
