package evidence

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every number is worked once, and a panic of one is the caller's.
func TestBesideWorksEachNumberOnce(t *testing.T) {
	var seen [1000]atomic.Int32
	beside(len(seen), func(i int) { seen[i].Add(1) })
	for i := range seen {
		require.EqualValues(t, 1, seen[i].Load(), i)
	}
	beside(0, func(int) { t.Error("there is nothing to work") })
	require.Panics(t, func() { beside(3, func(int) { panic("x") }) })
}

// What is found does not depend on how many processors there are.
func TestEvidenceIsTheSameOnOneProcessorAndOnSeveral(t *testing.T) {
	p, figures := readArch(t)
	for len(p.Returns) < 3*16 { // rows enough to be shared out, none like another
		row := append([]float64{}, p.Returns[len(p.Returns)%7]...)
		for k := range row {
			row[k] += 0.001 * float64((k*len(p.Returns))%11)
		}
		p.Trials, p.Returns = append(p.Trials, len(p.Returns)), append(p.Returns, row)
	}
	find := func() (any, any, any) {
		excess := p.Excess(p.Returns[0])
		c, err := Compare(excess, Options{Resamples: figures.Resamples, Level: 0.05, Seed: 7, Block: p.PanelBlockLength()})
		require.NoError(t, err)
		return excess, c, Cluster(p, 1)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	excess, compared, groups := find()
	runtime.GOMAXPROCS(3)
	excessToo, comparedToo, groupsToo := find()
	require.Equal(t, excess, excessToo)
	require.Equal(t, compared, comparedToo)
	require.Equal(t, groups, groupsToo)
}
