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

// trialRow is what is kept of every trial beside its parameters: 49 bytes before compression.
type trialRow struct {
	verdict                 verdict
	scoreIS, scoreOOS, sr   float64 // sr: per-period Sharpe ratio in sample
	returnIS, returnOOS     float64 // percent
	drawdownIS, drawdownOOS float64 // percent
	tradesIS, tradesOOS     int
}

// selection is the score that the trial is ranked by.
func (r *trialRow) selection(s Spec) float64 {
	if s.OOSRatio != nil && s.SelectOn == SelectOutOfSample {
		return r.scoreOOS
	}
	return r.scoreIS
}

// columns are the rows of a shard, by column: figures of one kind compress well side by side.
type columns struct {
	params   [][]float64 // by parameter, in the strategy's order
	verdicts []verdict
	scores   [3][]float64 // in sample, out of sample, sr
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

func (c *columns) append(params backtest.Params, r trialRow) int {
	for i, v := range params {
		c.params[i] = append(c.params[i], v)
	}
	c.verdicts = append(c.verdicts, r.verdict)
	for i, v := range [...]float64{r.scoreIS, r.scoreOOS, r.sr} {
		c.scores[i] = append(c.scores[i], v)
	}
	for i, v := range [...]float64{r.returnIS, r.returnOOS, r.drawdownIS, r.drawdownOOS} {
		c.figures[i] = append(c.figures[i], float32(v))
	}
	c.trades[0] = append(c.trades[0], uint32(r.tradesIS))
	c.trades[1] = append(c.trades[1], uint32(r.tradesOOS))
	return len(c.verdicts) - 1
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
		verdict: c.verdicts[i], scoreIS: c.scores[0][i], scoreOOS: c.scores[1][i], sr: c.scores[2][i],
		returnIS: float64(c.figures[0][i]), returnOOS: float64(c.figures[1][i]),
		drawdownIS: float64(c.figures[2][i]), drawdownOOS: float64(c.figures[3][i]),
		tradesIS: int(c.trades[0][i]), tradesOOS: int(c.trades[1][i]),
	}
}

// columnsVersion begins every encoded shard.
const columnsVersion = 1

const rowBytes = 1 + 3*8 + 4*4 + 2*4 // and eight a parameter

func (c *columns) encode() ([]byte, error) {
	raw := make([]byte, 0, 5+(rowBytes+8*len(c.params))*c.len())
	raw = append(raw, columnsVersion)
	raw = binary.LittleEndian.AppendUint32(raw, uint32(c.len()))
	for _, v := range c.verdicts {
		raw = append(raw, byte(v))
	}
	for _, column := range slices.Concat(c.params, c.scores[:]) {
		for _, v := range column {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		}
	}
	for _, column := range c.figures {
		for _, v := range column {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
	}
	for _, column := range c.trades {
		for _, v := range column {
			raw = binary.LittleEndian.AppendUint32(raw, v)
		}
	}
	return compress(raw)
}

func decodeColumns(data []byte, params, n int) (*columns, error) {
	raw, err := decompress(data, 5+(rowBytes+8*params)*n)
	if err != nil {
		return nil, err
	}
	if raw[0] != columnsVersion || int(binary.LittleEndian.Uint32(raw[1:])) != n {
		return nil, errors.New("columns of another version or length")
	}
	raw = raw[5:]
	c := newColumns(params, n)
	for range n {
		c.verdicts = append(c.verdicts, verdict(raw[0]))
		raw = raw[1:]
	}
	floats := func(into *[]float64) {
		for range n {
			*into = append(*into, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
			raw = raw[8:]
		}
	}
	for i := range c.params {
		floats(&c.params[i])
	}
	for i := range c.scores {
		floats(&c.scores[i])
	}
	for i := range c.figures {
		for range n {
			c.figures[i] = append(c.figures[i], math.Float32frombits(binary.LittleEndian.Uint32(raw)))
			raw = raw[4:]
		}
	}
	for i := range c.trades {
		for range n {
			c.trades[i] = append(c.trades[i], binary.LittleEndian.Uint32(raw))
			raw = raw[4:]
		}
	}
	return &c, nil
}

func compress(raw []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return encoder.EncodeAll(raw, nil), nil
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

// Trial is one trial as the API shows it.
type Trial struct {
	Index          int                `json:"trial_index"`
	Status         Status             `json:"status"`
	Params         map[string]float64 `json:"params"`
	Score          *float64           `json:"score"`
	ScoreIS        *float64           `json:"score_is"`
	ScoreOOS       *float64           `json:"score_oos"`
	OverfitGap     *float64           `json:"overfit_gap"`
	ReturnPctIS    *float64           `json:"return_pct_is"`
	ReturnPctOOS   *float64           `json:"return_pct_oos"`
	MaxDrawdownIS  *float64           `json:"max_drawdown_pct_is"`
	MaxDrawdownOOS *float64           `json:"max_drawdown_pct_oos"`
	TradesIS       int                `json:"trades_is"`
	TradesOOS      *int               `json:"trades_oos"`
	Reason         string             `json:"reason,omitempty"`
}

// DecodeColumns reads the trials of a shard from what Encode kept of them.
func DecodeColumns(spec Spec, sh Shard, data []byte) ([]Trial, error) {
	spec = spec.normalized()
	names := spec.ParamNames()
	cols, err := decodeColumns(data, len(names), sh.Trials)
	if err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	trials := make([]Trial, sh.Trials)
	point := make(backtest.Params, len(names))
	for i := range trials {
		cols.point(i, point)
		row := cols.row(i)
		trials[i] = spec.trial(sh.First+i, named(names, point), &row)
	}
	return trials, nil
}

func named(names []string, point backtest.Params) map[string]float64 {
	values := make(map[string]float64, len(names))
	for i, name := range names {
		values[name] = point[i]
	}
	return values
}

// defined is v, or nil when it is not a finite number.
func defined(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (s Spec) trial(index int, params map[string]float64, row *trialRow) Trial {
	t := Trial{
		Index: index, Status: row.verdict.status(), Params: params, Reason: s.reason(row.verdict),
		Score: defined(row.selection(s)), ScoreIS: defined(row.scoreIS),
		ReturnPctIS: defined(row.returnIS), MaxDrawdownIS: defined(row.drawdownIS), TradesIS: row.tradesIS,
	}
	if s.OOSRatio != nil {
		t.ScoreOOS, t.OverfitGap = defined(row.scoreOOS), defined(row.scoreIS-row.scoreOOS)
		t.ReturnPctOOS, t.MaxDrawdownOOS, t.TradesOOS = defined(row.returnOOS), defined(row.drawdownOOS), &row.tradesOOS
	}
	return t
}
