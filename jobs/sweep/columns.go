package sweep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"millrace/jobs/backtest"
)

// trialRow is what is kept of every trial beside its parameters: 41 bytes before compression.
type trialRow struct {
	verdict                 verdict
	scoreIS, scoreOOS       float64 // NaN when undefined
	returnIS, returnOOS     float64 // percent
	drawdownIS, drawdownOOS float64 // percent
	tradesIS, tradesOOS     int
}

// columns are the rows of a shard, by column: figures of one kind compress well side by side.
type columns struct {
	params   [][]float64 // by parameter, in the strategy's order
	verdicts []verdict
	scores   [2][]float64 // in sample, out of sample
	figures  [4][]float32 // returns and drawdowns, both parts
	trades   [2][]uint32
}

func newColumns(params, capacity int) columns {
	c := columns{params: make([][]float64, params), verdicts: make([]verdict, 0, capacity)}
	for i := range c.params {
		c.params[i] = make([]float64, 0, capacity)
	}
	for i := range c.scores {
		c.scores[i] = make([]float64, 0, capacity)
	}
	for i := range c.figures {
		c.figures[i] = make([]float32, 0, capacity)
	}
	for i := range c.trades {
		c.trades[i] = make([]uint32, 0, capacity)
	}
	return c
}

func (c *columns) append(params backtest.Params, r *trialRow) {
	for i, v := range params {
		c.params[i] = append(c.params[i], v)
	}
	c.verdicts = append(c.verdicts, r.verdict)
	c.scores[0] = append(c.scores[0], r.scoreIS)
	c.scores[1] = append(c.scores[1], r.scoreOOS)
	c.figures[0] = append(c.figures[0], float32(r.returnIS))
	c.figures[1] = append(c.figures[1], float32(r.returnOOS))
	c.figures[2] = append(c.figures[2], float32(r.drawdownIS))
	c.figures[3] = append(c.figures[3], float32(r.drawdownOOS))
	c.trades[0] = append(c.trades[0], uint32(r.tradesIS))
	c.trades[1] = append(c.trades[1], uint32(r.tradesOOS))
}

func (c *columns) len() int { return len(c.verdicts) }

// point writes the parameters of row i.
func (c *columns) point(i int, out backtest.Params) {
	for k := range c.params {
		out[k] = c.params[k][i]
	}
}

func (c *columns) row(i int) trialRow {
	return trialRow{
		verdict: c.verdicts[i], scoreIS: c.scores[0][i], scoreOOS: c.scores[1][i],
		returnIS: shortest(c.figures[0][i]), returnOOS: shortest(c.figures[1][i]),
		drawdownIS: shortest(c.figures[2][i]), drawdownOOS: shortest(c.figures[3][i]),
		tradesIS: int(c.trades[0][i]), tradesOOS: int(c.trades[1][i]),
	}
}

// shortest widens a float32 to six decimals, more than a float32 percentage has.
func shortest(v float32) float64 { return math.Round(float64(v)*1e6) / 1e6 }

// columnsVersion begins every encoded shard.
const columnsVersion = 2

const (
	headerBytes = 5
	rowBytes    = 1 + 2*8 + 4*4 + 2*4 // and eight a parameter
)

// encode writes the columns as planes of bytes: all low bytes of a column, then all second ones, and
// so on, because signs, exponents and small counts repeat from row to row where low bytes do not.
func (c *columns) encode() ([]byte, error) { return new(packer).pack(c) }

// planes are the columns before compression.
func (c *columns) planes() []byte { return c.appendPlanesTo(nil) }

func (c *columns) appendPlanesTo(raw []byte) []byte {
	raw = slices.Grow(raw, headerBytes+(rowBytes+8*len(c.params))*c.len())
	c.eachPlane(func(plane []byte) { raw = append(raw, plane...) })
	return raw
}

// takeLong appends n values of eight planes to into and returns the rest of raw.
func takeLong(raw []byte, into *[]float64, n int) []byte {
	at := len(*into)
	*into = slices.Grow(*into, n)[:at+n]
	values := (*into)[at:]
	p0, p1, p2, p3 := raw[:n], raw[n:][:n], raw[2*n:][:n], raw[3*n:][:n]
	p4, p5, p6, p7 := raw[4*n:][:n], raw[5*n:][:n], raw[6*n:][:n], raw[7*n:][:n]
	for i := range values {
		low := uint32(p0[i]) | uint32(p1[i])<<8 | uint32(p2[i])<<16 | uint32(p3[i])<<24
		high := uint32(p4[i]) | uint32(p5[i])<<8 | uint32(p6[i])<<16 | uint32(p7[i])<<24
		values[i] = math.Float64frombits(uint64(low) | uint64(high)<<32)
	}
	return raw[8*n:]
}

// takeShort is takeLong of four planes.
func takeShort[T any](raw []byte, into *[]T, n int, value func(uint32) T) []byte {
	p0, p1, p2, p3 := raw[:n], raw[n:][:n], raw[2*n:][:n], raw[3*n:][:n]
	for i := range n {
		*into = append(*into, value(uint32(p0[i])|uint32(p1[i])<<8|uint32(p2[i])<<16|uint32(p3[i])<<24))
	}
	return raw[4*n:]
}

// openPlanes returns the planes of the encoded columns of n rows.
func openPlanes(data []byte, params, n int) ([]byte, error) {
	raw, err := decompress(data, headerBytes+(rowBytes+8*params)*n)
	if err != nil {
		return nil, err
	}
	if raw[0] != columnsVersion || int(binary.LittleEndian.Uint32(raw[1:])) != n {
		return nil, errors.New("columns of another version or length")
	}
	return raw[headerBytes:], nil
}

// decodeRows reads some of n rows, in the order asked for: a page of ranked trials has few of many
// shards each.
func decodeRows(data []byte, params, n int, rows []int) (*columns, error) {
	raw, err := openPlanes(data, params, n)
	if err != nil {
		return nil, err
	}
	// The planes of those rows alone are encoded columns themselves.
	few := make([]byte, 0, len(raw)/max(n, 1)*len(rows))
	for plane := range len(raw) / max(n, 1) {
		for _, row := range rows {
			few = append(few, raw[plane*n+row])
		}
	}
	return readPlanes(few, params, len(rows)), nil
}

func decodeColumns(data []byte, params, n int) (*columns, error) {
	raw, err := openPlanes(data, params, n)
	if err != nil {
		return nil, err
	}
	return readPlanes(raw, params, n), nil
}

func readPlanes(raw []byte, params, n int) *columns {
	c := newColumns(params, n)
	c.appendPlanes(raw, n)
	return &c
}

// appendPlanes adds the n rows of planes that openPlanes returned.
func (c *columns) appendPlanes(raw []byte, n int) {
	for _, v := range raw[:n] {
		c.verdicts = append(c.verdicts, verdict(v))
	}
	raw = raw[n:]
	for i := range c.params {
		raw = takeLong(raw, &c.params[i], n)
	}
	for i := range c.scores {
		raw = takeLong(raw, &c.scores[i], n)
	}
	for i := range c.figures {
		raw = takeShort(raw, &c.figures[i], n, math.Float32frombits)
	}
	for i := range c.trades {
		raw = takeShort(raw, &c.trades[i], n, func(bits uint32) uint32 { return bits })
	}
}

// decompress reads a frame that must hold exactly n bytes.
func decompress(data []byte, n int) ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(n, 1<<20))))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	defer decoder.Close()
	raw, err := decoder.DecodeAll(data, make([]byte, 0, n))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if len(raw) != n {
		return nil, fmt.Errorf("holds %d bytes instead of %d", len(raw), n)
	}
	return raw, nil
}

// takeRungScores takes out the scores of trials that ran on a rung's bars only, by row.
func (c *columns) takeRungScores(s Spec) map[int]float64 {
	if s.Pruning == nil {
		return nil
	}
	taken := map[int]float64{}
	for i, v := range c.verdicts {
		if _, pruned := v.pruned(); pruned || v == screened {
			taken[i] = s.selection(c.scores[0][i], c.scores[1][i])
			c.scores[0][i], c.scores[1][i] = math.NaN(), math.NaN()
		}
	}
	return taken
}

// extend sets the number of rows. The columns have room for them, and the values that are there.
func (c *columns) extend(n int) {
	c.verdicts = c.verdicts[:n]
	for i := range c.params {
		c.params[i] = c.params[i][:n]
	}
	for i := range c.scores {
		c.scores[i] = c.scores[i][:n]
	}
	for i := range c.figures {
		c.figures[i] = c.figures[i][:n]
	}
	for i := range c.trades {
		c.trades[i] = c.trades[i][:n]
	}
}

// put writes the rows of another from row at on.
func (c *columns) put(at int, o *columns) {
	copy(c.verdicts[at:], o.verdicts)
	for i := range c.params {
		copy(c.params[i][at:], o.params[i])
	}
	for i := range c.scores {
		copy(c.scores[i][at:], o.scores[i])
	}
	for i := range c.figures {
		copy(c.figures[i][at:], o.figures[i])
	}
	for i := range c.trades {
		copy(c.trades[i][at:], o.trades[i])
	}
}

// slice is rows [from, to), sharing their memory.
func (c *columns) slice(from, to int) *columns {
	part := &columns{params: make([][]float64, len(c.params)), verdicts: c.verdicts[from:to]}
	for i := range c.params {
		part.params[i] = c.params[i][from:to]
	}
	for i := range c.scores {
		part.scores[i] = c.scores[i][from:to]
	}
	for i := range c.figures {
		part.figures[i] = c.figures[i][from:to]
	}
	for i := range c.trades {
		part.trades[i] = c.trades[i][from:to]
	}
	return part
}

// replace puts a row of another in the place of row at; the parameters are the same.
func (c *columns) replace(at int, from *columns, row int) {
	c.verdicts[at] = from.verdicts[row]
	for i := range c.scores {
		c.scores[i][at] = from.scores[i][row]
	}
	for i := range c.figures {
		c.figures[i][at] = from.figures[i][row]
	}
	for i := range c.trades {
		c.trades[i][at] = from.trades[i][row]
	}
}
