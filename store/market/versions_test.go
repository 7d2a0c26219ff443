package market_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/storetest"
)

func generated(t testing.TB, n int) *backtest.Bars {
	t.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: n})
	require.NoError(t, err)
	return bars
}

func put(t testing.TB, d *storetest.Fixture, name string, bars *backtest.Bars) market.Dataset {
	t.Helper()
	made, err := d.Store.Market.PutDataset(t.Context(), d.Space.ID,
		market.Dataset{Name: name, Symbol: "S", Timeframe: "1d", Calendar: 252, Instrument: backtest.Instrument{PeriodsPerYear: 252, TickSize: 0.01}}, bars)
	require.NoError(t, err)
	return made
}

func changed(t testing.TB, bars *backtest.Bars, factor float64) *backtest.Bars {
	t.Helper()
	scale := func(column []float64) []float64 {
		out := make([]float64, len(column))
		for i, v := range column {
			out[i] = v * factor
		}
		return out
	}
	made, err := backtest.NewBars(bars.Time, scale(bars.Open), scale(bars.High), scale(bars.Low), scale(bars.Close), bars.Volume)
	require.NoError(t, err)
	return made
}

// However bars came together, they are the same bars under the same hash, in a short chain of rows, and every
// version of before still is what it was.
func TestAppendedBarsAreThoseOfOneUpload(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 700)
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 0))
		name := fmt.Sprint("grown ", seed)
		at := 1 + random.IntN(300)
		put(t, d, name, bars.Slice(0, at))
		sizes := map[int]int{1: at}
		for version := 2; version < 36; version++ {
			overlap := random.IntN(min(at, 20))
			next := at + []int{1, 1, 1, 2, 7, 30}[random.IntN(6)]
			made, err := d.Store.Market.Extend(t.Context(), d.Space.ID, name, market.Extension{Bars: bars.Slice(at-overlap, next)})
			require.NoError(t, err)
			require.True(t, made.Made)
			require.Equal(t, version, made.Dataset.Version)
			require.Equal(t, []int{next - at, overlap}, []int{made.Added, made.Overlap})
			at = next
			sizes[version] = at
			require.Equal(t, sumOf(bars.Slice(0, at)), made.Dataset.SHA256, "the hash depends on how the bars came together")
		}
		links := d.Count(`
			with recursive c as (
				select id, base_id from datasets where coalesce(series, name) = '` + name + `' and not superseded
				union all select b.id, b.base_id from c join datasets b on b.id = c.base_id)
			select count(*) from c`)
		require.LessOrEqual(t, links, 9, "the chain of %d versions has too many rows", len(sizes))
		seen, err := d.Store.Market.Versions(t.Context(), d.Space.ID, name, 0, 100)
		require.NoError(t, err)
		require.Len(t, seen, len(sizes))
		fresh := stores(t, d)
		for _, v := range seen {
			got, _, err := fresh.Bars(t.Context(), d.Space.ID, v.ID)
			require.NoError(t, err)
			require.Equal(t, sizes[v.Version], got.Len())
			require.Equal(t, v.SHA256, sumOf(got), "version %d changed", v.Version)
		}
	}
}

func sumOf(b *backtest.Bars) []byte {
	sum := ohlcv.Sum(b)
	return sum[:]
}

// stores is the store without anything in memory.
func stores(t testing.TB, d *storetest.Fixture) *market.Store {
	t.Helper()
	return market.New(d.Store.DB)
}

func TestBarsThatDifferFromStoredOnesAreRefused(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 400)
	put(t, d, "spx", bars.Slice(0, 300))
	extend := func(e market.Extension) error {
		_, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", e)
		return err
	}
	other := changed(t, bars, 1)
	other.High[290] += 1
	var seam *backtest.SeamError
	require.ErrorAs(t, extend(market.Extension{Bars: other.Slice(280, 320)}), &seam)
	require.Equal(t, "high", seam.Column)
	require.Equal(t, time.UnixMicro(bars.Time[290]).UTC(), seam.Time)
	require.Equal(t, []float64{bars.High[290], other.High[290]}, []float64{*seam.Stored, *seam.Sent})

	require.ErrorAs(t, extend(market.Extension{Bars: without(t, bars, 290).Slice(280, 320)}), &seam)
	require.Contains(t, seam.Error(), "is stored and was not sent")
	require.ErrorAs(t, extend(market.Extension{Bars: changed(t, bars, 2).Slice(300, 320)}), &seam)
	require.Equal(t, backtest.OptionJump, seam.Option, "twice the price without a bar in common")
	require.ErrorAs(t, extend(market.Extension{Bars: changed(t, bars, 2).Slice(10, 400), Rewrite: true}), &seam)
	require.Contains(t, seam.Error(), "do not reach from the first stored one")
	require.Equal(t, 1, d.Count(`select count(*) from datasets where name like 'spx%'`), "a refused append left a version")

	require.NoError(t, extend(market.Extension{Bars: changed(t, bars, 2).Slice(300, 320), AnyJump: true}))
}

func without(t testing.TB, b *backtest.Bars, i int) *backtest.Bars {
	t.Helper()
	joined, err := ohlcv.Join(b.Slice(0, i), b.Slice(i+1, b.Len()))
	require.NoError(t, err)
	return joined
}

// The lock of the newest version lets one of two through; the other is refused, and one that has nothing left
// to add is not.
func TestOfTwoAppendsAtOnceOneIsRefused(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 400)
	others := changed(t, bars, 1)
	others.Volume = slices.Clone(bars.Volume)
	others.Volume[305]++
	for _, tc := range []struct {
		name   string
		second *backtest.Bars
		raced  bool
	}{{"other bars", others, true}, {"the same bars", bars, false}} {
		head := put(t, d, tc.name, bars.Slice(0, 300))
		held := d.Open(`select 1 from datasets where id = '` + head.ID.String() + `' for update`)
		var all errgroup.Group
		errs, made := make([]error, 2), make([]market.Extended, 2)
		for i, sent := range []*backtest.Bars{bars, tc.second} {
			all.Go(func() error {
				made[i], errs[i] = d.Store.Market.Extend(t.Context(), d.Space.ID, tc.name, market.Extension{Bars: sent.Slice(295, 310)})
				return nil
			})
		}
		d.AwaitBlockedBy(2)
		require.NoError(t, held.Rollback(t.Context()))
		require.NoError(t, all.Wait())
		require.Equal(t, 1, d.Count(`select count(*) from datasets where series = '`+tc.name+`'`), "both appends made a version")
		if !tc.raced {
			require.Equal(t, []error{nil, nil}, errs)
			require.NotEqual(t, made[0].Made, made[1].Made)
			require.Equal(t, made[0].Dataset.ID, made[1].Dataset.ID)
			continue
		}
		lost := 0
		if errs[1] != nil {
			lost = 1
		}
		var raced *market.RacedError
		require.ErrorAs(t, errs[lost], &raced)
		require.ErrorIs(t, errs[lost], store.ErrConflict)
		require.NoError(t, errs[1-lost])
	}
}

func TestTheSameBarsAgainMakeNoVersion(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 400)
	put(t, d, "spx", bars.Slice(0, 300))
	for i, made := range []bool{true, false} {
		got, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: bars.Slice(290, 310)})
		require.NoError(t, err)
		require.Equal(t, made, got.Made, "append %d", i+1)
		require.Equal(t, 2, got.Dataset.Version)
	}
	for i, made := range []bool{true, false} {
		got, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: changed(t, bars, 0.5).Slice(0, 310), Rewrite: true})
		require.NoError(t, err)
		require.Equal(t, made, got.Made, "rewrite %d", i+1)
		require.Equal(t, 3, got.Dataset.Version)
	}
	// A file that is sent again finds the version that it made.
	first := put(t, d, "spx", bars.Slice(0, 300))
	require.Equal(t, 1, first.Version)
	require.Equal(t, []int{3, 1}, []int{
		d.Count(`select count(*) from datasets where coalesce(series, name) = 'spx'`),
		d.Count(`select count(*) from datasets where coalesce(series, name) = 'spx' and not superseded`),
	})
	require.Equal(t, []string{"backtest.dataset.version"}, d.EventTypes(mustDataset(t, d, "spx@2").ID))
}

func mustDataset(t testing.TB, d *storetest.Fixture, name string) market.Dataset {
	t.Helper()
	found, err := d.Store.Market.Dataset(t.Context(), d.Space.ID, name)
	require.NoError(t, err)
	return found
}

func TestANameIsItsNewestVersionAndWithANumberThatOne(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 400)
	first := put(t, d, "spx", bars.Slice(0, 300))
	second, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: bars.Slice(300, 301)})
	require.NoError(t, err)
	// An id of an older version names the series to append to.
	third, err := d.Store.Market.Extend(t.Context(), d.Space.ID, first.ID.String(), market.Extension{Bars: bars.Slice(301, 302)})
	require.NoError(t, err)
	for name, want := range map[string]market.Dataset{
		"spx": third.Dataset, "spx@1": first, "spx@2": second.Dataset, "spx@3": third.Dataset, first.ID.String(): first, second.Dataset.ID.String(): second.Dataset,
	} {
		require.Equal(t, want.ID, mustDataset(t, d, name).ID, name)
	}
	require.Equal(t, []string{"spx", "spx@2", "spx@3"}, []string{mustDataset(t, d, "spx@1").FullName, second.Dataset.FullName, third.Dataset.FullName})
	for _, name := range []string{"spx@4", "spx@0", "spx@01", "@1"} {
		_, err := d.Store.Market.Dataset(t.Context(), d.Space.ID, name)
		require.ErrorIs(t, err, store.ErrNotFound, name)
	}
	listed, err := d.Store.Market.Datasets(t.Context(), d.Space.ID, nil, store.Page{}, 10)
	require.NoError(t, err)
	require.Equal(t, []string{"spx@3", "walk"}, []string{listed[0].FullName, listed[1].FullName})
	require.Len(t, listed, 2, "superseded versions are listed")
}

// Another workspace neither finds a version nor can extend it, also by an id that it guessed.
func TestAnotherWorkspaceCannotExtendADataset(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 310)
	head := put(t, d, "spx", bars.Slice(0, 300))
	other, err := d.Store.Tenants.CreateWorkspace(t.Context(), "other", 2)
	require.NoError(t, err)
	for _, name := range []string{"spx", head.ID.String()} {
		_, err := d.Store.Market.Extend(t.Context(), other.ID, name, market.Extension{Bars: bars.Slice(300, 310)})
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	list, err := d.Store.Market.Versions(t.Context(), other.ID, "spx", 0, 10)
	require.NoError(t, err)
	require.Empty(t, list)
	require.Zero(t, d.Count(`select count(*) from datasets where superseded`))
}

// ran stores a run on a dataset.
func ran(t testing.TB, d *storetest.Fixture, dataset uuid.UUID) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	_, err := d.Store.Market.PutRun(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test"},
		market.Run{DatasetID: dataset, Strategy: "sma_cross", Spec: []byte(`{}`), Equity: []float64{1}},
		func(run *market.Run) (store.Response, error) {
			id = run.ID
			return store.Response{Status: http.StatusCreated}, nil
		})
	require.NoError(t, err)
	return id
}

func TestARewriteNamesTheResultsItMakesStale(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	tune, _ := d.Tune("one")
	run := ran(t, d, d.Dataset.ID)
	made, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "walk", market.Extension{Bars: changed(t, d.Bars, 0.25), Rewrite: true})
	require.NoError(t, err)
	require.Equal(t, market.Results{Tunes: 1, Runs: 1}, made.Stale.Results)
	require.ElementsMatch(t, []uuid.UUID{tune.ID, run}, made.Stale.IDs)
	require.Contains(t, made.Note, "500 bars changed, 0 removed, 0 inserted, 0 added; the first: ")
	ran(t, d, made.Dataset.ID)
	seen, err := d.Store.Market.Versions(t.Context(), d.Space.ID, "walk", 0, 10)
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, []bool{seen[0].Stale, seen[1].Stale})
	require.Equal(t, []market.Results{{Runs: 1}, {Tunes: 1, Runs: 1}}, []market.Results{seen[0].Results, seen[1].Results})
}

func TestChangedAttributesMakeAVersionOfTheSameBars(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 400)
	first := put(t, d, "spx", bars.Slice(0, 300))
	accept := func(*market.Dataset) error { return nil }
	around := backtest.CalendarContinuous
	for i, made := range []bool{true, false} {
		next, got, err := d.Store.Market.Describe(t.Context(), d.Space.ID, "spx", market.Description{Calendar: &around}, accept)
		require.NoError(t, err)
		require.Equal(t, made, got, "change %d", i+1)
		require.Equal(t, 2, next.Version)
		require.Equal(t, first.SHA256, next.SHA256)
		require.Equal(t, 365.0, next.PeriodsPerYear, "periods that followed from the calendar follow from the new one")
	}
	require.Equal(t, 252.0, mustDataset(t, d, "spx@1").PeriodsPerYear)
	stated := 250.0
	_, _, err := d.Store.Market.Describe(t.Context(), d.Space.ID, "spx", market.Description{PeriodsPerYear: &stated}, accept)
	require.NoError(t, err)
	back := backtest.CalendarExchange
	next, _, err := d.Store.Market.Describe(t.Context(), d.Space.ID, "spx", market.Description{Calendar: &back}, accept)
	require.NoError(t, err)
	require.Equal(t, 250.0, next.PeriodsPerYear, "stated periods stay")
	grown, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: bars.Slice(290, 400)})
	require.NoError(t, err)
	require.Equal(t, 250.0, grown.Dataset.PeriodsPerYear)
	got, calendar, err := stores(t, d).Bars(t.Context(), d.Space.ID, grown.Dataset.ID)
	require.NoError(t, err)
	require.Equal(t, backtest.CalendarExchange, calendar)
	require.Equal(t, sumOf(bars), sumOf(got))
}

// What is exported of a version is all of its bars, whether they were appended or described otherwise.
func TestAllBarsOfAVersionArePacked(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 400)
	put(t, d, "spx", bars.Slice(0, 300))
	_, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: bars.Slice(290, 400)})
	require.NoError(t, err)
	around := backtest.CalendarContinuous
	_, _, err = d.Store.Market.Describe(t.Context(), d.Space.ID, "spx", market.Description{Calendar: &around}, func(*market.Dataset) error { return nil })
	require.NoError(t, err)
	for version, want := range map[string]*backtest.Bars{"spx@1": bars.Slice(0, 300), "spx@2": bars, "spx@3": bars} {
		data, err := d.Store.Market.Packed(t.Context(), d.Space.ID, mustDataset(t, d, version).ID)
		require.NoError(t, err)
		got, err := ohlcv.Decode(data)
		require.NoError(t, err, version)
		require.Equal(t, sumOf(want), sumOf(got), version)
	}
	_, err = d.Store.Market.Packed(t.Context(), d.Space.ID, uuid.New())
	require.ErrorIs(t, err, store.ErrNotFound)
}

// Datasets of before have a hash that cannot be continued: the same bars find them, and appends continue them.
func TestADatasetOfBeforeGrows(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bars := generated(t, 400)
	old := put(t, d, "spx", bars.Slice(0, 300))
	flat := ohlcv.FlatSum(bars.Slice(0, 300))
	d.Exec(`update datasets set sum_state = null, last_close = null, sha256 = $2 where id = $1`, old.ID, flat[:])
	require.Equal(t, old.ID, put(t, d, "spx", bars.Slice(0, 300)).ID)
	_, err := d.Store.Market.PutDataset(t.Context(), d.Space.ID, market.Dataset{Name: "spx", Symbol: "S", Timeframe: "1d", Calendar: 252}, changed(t, bars, 2).Slice(0, 300))
	require.ErrorIs(t, err, store.ErrConflict)
	grown, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: bars.Slice(300, 400)})
	require.NoError(t, err)
	require.Equal(t, sumOf(bars), grown.Dataset.SHA256)
	// A state that is not of the stored hash is not continued.
	d.Exec(`update datasets set sum_state = (select sum_state from datasets where name = 'walk') where id = $1`, grown.Dataset.ID)
	longer := generated(t, 410)
	grown, err = d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: longer.Slice(399, 401)})
	require.NoError(t, err)
	require.Equal(t, sumOf(longer.Slice(0, 401)), grown.Dataset.SHA256)
	var seam *backtest.SeamError
	d.Exec(`update datasets set last_close = null where id = $1`, grown.Dataset.ID)
	_, err = d.Store.Market.Extend(t.Context(), d.Space.ID, "spx", market.Extension{Bars: changed(t, longer, 3).Slice(401, 410)})
	require.ErrorAs(t, err, &seam)
	require.Equal(t, backtest.OptionJump, seam.Option)
}

// BenchmarkAppend appends a bar to a million, of a weekday, and of a weekend, where stored times are read too.
func BenchmarkAppend(b *testing.B) {
	d := storetest.New(b)
	const n = 1_000_000
	for name, start := range map[string]time.Time{
		"weekday": time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC), // appends from a Tuesday on
		"weekend": time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), // from a Sunday on
	} {
		b.Run(name, func(b *testing.B) {
			bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: n + 1000, Interval: time.Minute, Start: start})
			require.NoError(b, err)
			_, err = d.Store.Market.PutDataset(b.Context(), d.Space.ID, market.Dataset{Name: name, Symbol: "S", Timeframe: "1m", Calendar: 365}, bars.Slice(0, n))
			require.NoError(b, err)
			at, longest := n, time.Duration(0)
			for b.Loop() {
				began := time.Now()
				made, err := stores(b, d).Extend(b.Context(), d.Space.ID, name, market.Extension{Bars: bars.Slice(at, at+1)})
				require.NoError(b, err)
				require.True(b, made.Made)
				longest = max(longest, time.Since(began))
				at++
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
		})
	}
}
