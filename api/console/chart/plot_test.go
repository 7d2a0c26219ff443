package chart

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func manyBars(n int) Source {
	s := Source{Plot: Plot{ID: "price", Lines: []PlotLine{{Name: "a", Class: "s1"}, {Name: "b", Class: "s2"}, {Name: "c", Class: "s3"}}}}
	for i := range n {
		s.Micros = append(s.Micros, int64(i)*60_000_000)
		v := 100 + 10*math.Sin(float64(i)/1000) + math.Mod(float64(i)*0.7919, 1)
		s.Lines[0].Values = append(s.Lines[0].Values, v)
		s.Lines[1].Values = append(s.Lines[1].Values, v/2)
		s.Lines[2].Values = append(s.Lines[2].Values, math.NaN())
	}
	return s
}

// A spike of one bar in a million is in the reduced plot, and the plot stays small on the wire.
func TestReductionKeepsEveryLinesExtremes(t *testing.T) {
	t.Parallel()
	s := manyBars(1_000_000)
	s.Lines[0].Values[123_457], s.Lines[1].Values[765_432], s.Lines[2].Values[500_001] = 999, -5, 7
	p := s.Part(0, 0)
	require.Less(t, len(p.Time), 6000)
	require.Equal(t, 999.0, maxOf(p.Lines[0].Values))
	require.Equal(t, -5.0, -maxOf(negated(p.Lines[1].Values)))
	require.Equal(t, 7.0, maxOf(p.Lines[2].Values))
	require.Equal(t, seconds(s.Micros[0]), p.Time[0])
	require.Equal(t, seconds(s.Micros[len(s.Micros)-1]), p.Time[len(p.Time)-1])
	for i := 1; i < len(p.Time); i++ {
		require.Less(t, p.Time[i-1], p.Time[i])
	}
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err = w.Write(raw)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Less(t, len(raw), 500_000, "%d bytes, %d compressed", len(raw), zipped.Len())
	t.Logf("%d points, %d bytes, %d compressed", len(p.Time), len(raw), zipped.Len())
}

func maxOf(values Values) float64 {
	high := math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			high = max(high, v)
		}
	}
	return high
}

func negated(values Values) Values {
	out := make(Values, len(values))
	for i, v := range values {
		out[i] = -v
	}
	return out
}

// Zoomed in far enough a part has every value, and its lines reach over both edges.
func TestAPartHasEveryValueOfItsTimes(t *testing.T) {
	t.Parallel()
	s := manyBars(100_000)
	s.More = "/more"
	p := s.Part(s.Micros[5000], s.Micros[5100])
	require.Len(t, p.Time, 103)
	require.Equal(t, s.Lines[0].Values[4999:5102], p.Lines[0].Values)
	require.Equal(t, "/more", p.More)
	small := manyBars(50)
	small.More = "/more"
	require.Empty(t, small.Part(0, 0).More, "nothing more is to be had")
	require.Empty(t, s.Part(-10, -5).Time[1:], "beyond the bars there is at most the nearest one")
	require.Empty(t, Source{}.Part(0, 0).Time)
}

func TestMarksShowOnceTheyAreFew(t *testing.T) {
	t.Parallel()
	s := manyBars(1000)
	s.MarksOf = func(from, to float64, most int) (marks []Mark, n int) {
		for _, at := range s.Micros {
			if seconds(at) >= from && seconds(at) <= to {
				n++
				marks = append(marks, Mark{Time: seconds(at), Kind: "long"})
			}
		}
		if n > most {
			return nil, n
		}
		return marks, n
	}
	p := s.Part(0, 0)
	require.Empty(t, p.Marks)
	require.Contains(t, p.Note, "1000 marks")
	require.Len(t, s.Part(s.Micros[10], s.Micros[19]).Marks, 12)
}

func TestValuesThatAreNotFiniteAreNull(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(Plot{Time: Seconds{1.5, 1e10}, Lines: []PlotLine{{Values: Values{math.NaN(), math.Inf(1)}}, {Values: Values{1.0 / 3, -0.5}}}})
	require.NoError(t, err)
	require.Contains(t, string(raw), `"x":[1.5,10000000000]`)
	require.Contains(t, string(raw), `"values":[null,null]`)
	require.Contains(t, string(raw), `"values":[0.3333333,-0.5]`)
	var out strings.Builder
	require.NoError(t, Source{Plot: Plot{Lines: []PlotLine{{Name: "a", Values: Values{math.NaN(), 2}}}}, Micros: []int64{0, 1}}.WriteCSV(&out))
	require.Equal(t, "time,a\n1970-01-01T00:00:00Z,\n1970-01-01T00:00:00.000001Z,2\n", out.String())
}

// A price with as many lines as there are colours, whose extremes never coincide, stays below 500 kB even without compression.
func TestAPlotOfManyLinesStaysSmall(t *testing.T) {
	t.Parallel()
	s := manyBars(300_000)
	s.Lines = nil
	for l := range Colours {
		line := PlotLine{Name: string(rune('a' + l)), Class: "s1"}
		for i := range s.Micros {
			line.Values = append(line.Values, 1000+math.Mod(float64(i)*(0.7919+0.0137*float64(l)), 1))
		}
		s.Lines = append(s.Lines, line)
	}
	p := s.Part(0, 0)
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	require.LessOrEqual(t, len(p.Time), mostPoints+1)
	require.Greater(t, len(p.Time), mostPoints/2)
	require.Less(t, len(raw), 500_000)
	t.Logf("%d points, %d bytes", len(p.Time), len(raw))
}
