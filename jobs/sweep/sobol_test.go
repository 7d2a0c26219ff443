package sweep

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSobolPointsEqualAnIndependentGenerator(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/sobol.json")
	require.NoError(t, err)
	var golden map[string][][]uint32
	require.NoError(t, json.Unmarshal(data, &golden))
	for text, points := range golden {
		axes, err := strconv.Atoi(text)
		require.NoError(t, err)
		step := 64 / len(points)
		if axes == 32 {
			step = 9
		}
		s := newSobol(axes, 1)
		for i, point := range points {
			for axis, want := range point {
				require.Equal(t, want, s.raw(uint32(i*step), axis), "point %d, axis %d of %s", i*step, axis, text)
			}
		}
	}
}

// A scrambled sequence is still a net: the first 2^k points of an axis have one in each 2^k-th, and
// those of the first two axes one in each cell of any grid of 2^k equal cells.
func TestScrambledSobolPointsAreSpreadEvenly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(0, 9).Draw(t, "k")
		s := newSobol(maxSobolAxes, rapid.Uint64().Draw(t, "seed"))
		axis := rapid.IntRange(0, maxSobolAxes-1).Draw(t, "axis")
		rows := rapid.IntRange(0, k).Draw(t, "rows") // as a power of two
		n := 1 << k
		line, cells := make([]int, n), make([]int, n)
		for i := range uint32(n) {
			line[int(s.at(i, axis)*float64(n))]++
			row, column := int(s.at(i, 0)*float64(int(1)<<rows)), int(s.at(i, 1)*float64(int(1)<<(k-rows)))
			cells[row<<(k-rows)|column]++
		}
		for i := range n {
			require.Equal(t, 1, line[i], "axis %d", axis)
			require.Equal(t, 1, cells[i])
		}
	})
}

func TestSobolSearchesDependOnTheSeedAlone(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 300, 1)
	spec := crossSpec()
	spec.OOSRatio, spec.SearchType, spec.NTrials = nil, SearchSobol, new(64)
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(65.0)}, "slow": {Low: new(3.0), High: new(400.0), Log: true}}
	spec.Constraints = []string{"fast < slow"}
	p := plan(t, spec, bars)
	require.Equal(t, 64, p.Trials())
	all := allParams(p)
	// Every cut of the trials enumerates the same ones.
	var cut []string
	for _, sh := range p.Shards(7) {
		for i, params := range p.Params(sh) {
			require.Equal(t, all[i], params)
			require.Less(t, params[0], params[1])
			cut = append(cut, strconv.Itoa(i))
		}
	}
	require.Len(t, cut, 64)
	require.Equal(t, all, allParams(plan(t, spec, bars)))
	spec.Seed = new(uint64(2))
	require.NotEqual(t, all, allParams(plan(t, spec, bars)))
}

func TestSobolRunsASmallSpaceWhole(t *testing.T) {
	t.Parallel()
	spec := gridOf([]float64{5, 10}, []float64{8, 20, 30}, []string{"fast < slow"})
	spec.SearchType, spec.NTrials = SearchSobol, new(100)
	p := plan(t, spec, randomWalk(t, 300, 1))
	require.Equal(t, 5, p.Trials())
	require.Contains(t, p.Warnings()[0], "leave 5 points")
	seen := map[string]bool{}
	for _, params := range allParams(p) {
		seen[strconv.Itoa(int(params[0]))+" "+strconv.Itoa(int(params[1]))] = true
	}
	require.Len(t, seen, 5)
}

func TestTooManySobolParametersAreRefused(t *testing.T) {
	t.Parallel()
	// No strategy has so many; the rule is tested where it is written.
	var f faults
	Spec{SearchType: SearchSobol}.checkSobol(maxSobolAxes+1, &f)
	require.Equal(t, "param_space", f[0].Field)
}
