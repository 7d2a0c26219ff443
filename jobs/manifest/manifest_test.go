package manifest_test

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
)

var program = backtest.Stamp{Engine: backtest.Engine, Semantics: "1"}

func unbound(*sweep.Spec) error { return nil }

// made is a tune with all that it was made of.
func made(t *testing.T) *manifest.Bundle {
	t.Helper()
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	bars = bars.Slice(0, 900)
	data, err := ohlcv.Encode(bars)
	require.NoError(t, err)
	spec := sweep.Spec{
		StrategyName: "sma_cross", SearchType: sweep.SearchTPE, NTrials: new(60), OOSRatio: new(0.3), Seed: new(uint64(math.MaxUint64)),
		ParamSpace: map[string]sweep.Range{"fast": {Low: new(2.0), High: new(40.0)}, "slow": {Low: new(5.0), High: new(160.0)}},
		Gates:      sweep.GateLimits{MaxDrawdownPct: new(60.0), MinTrades: new(1)},
	}
	spec.Normalize()
	plan, faults := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
	require.Empty(t, faults)
	found, table, err := plan.RunWhole(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, manifest.Sum(table.Bytes()), hex.EncodeToString(found.TrialsSum[:]))
	parts, err := manifest.OfTune(found, 1000)
	require.NoError(t, err)
	parts["trials"] = table.Bytes()
	raw, err := json.Marshal(spec)
	require.NoError(t, err)
	result, err := manifest.NewResult(parts.Sums())
	require.NoError(t, err)
	m := &manifest.Manifest{
		Format: manifest.Format, Kind: manifest.Tune, ID: "one", Stamp: spec.Stamp(program), Spec: raw, Leaders: 1000, Seed: *spec.Seed,
		Datasets: []manifest.Dataset{{Name: "sample", Timeframe: "1d", Calendar: 252, Bars: bars.Len(), SHA256: manifest.BarsSum(bars)}},
		Program:  manifest.ThisProgram("test"), Result: result,
	}
	body, err := m.Canonical()
	require.NoError(t, err)
	return &manifest.Bundle{Manifest: m, Sum: manifest.Sum(body), Spec: raw, Data: [][]byte{data}, Parts: parts}
}

func file(t *testing.T, b *manifest.Bundle) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, b.Write(&out))
	return out.Bytes()
}

func read(body []byte) (*manifest.Bundle, error) {
	return manifest.ReadBundle(bytes.NewReader(body), int64(len(body)))
}

func TestAResultIsReproducedFromItsFile(t *testing.T) {
	t.Parallel()
	b := made(t)
	body := file(t, b)
	require.Equal(t, body, file(t, b), "the same bundle is the same file")
	got, err := read(body)
	require.NoError(t, err)
	require.NoError(t, got.Check())
	require.Equal(t, uint64(math.MaxUint64), got.Manifest.Seed, "a seed of 64 bits keeps its digits")
	for _, atOnce := range []int{1, 3} {
		report, err := got.Reproduce(t.Context(), program, unbound, atOnce)
		require.NoError(t, err)
		require.True(t, report.Same, "%v %s", report.Differs, report.First)
		require.Empty(t, report.Causes)
	}
}

func TestADifferenceNamesTheTrialAndItsCause(t *testing.T) {
	t.Parallel()
	t.Run("engine", func(t *testing.T) {
		t.Parallel()
		b := made(t)
		b.Parts["trials"] = bytes.Clone(b.Parts["trials"])
		b.Parts["trials"][5+60+2*8*60+7] ^= 1 // the eighth trial's lowest byte of score_is
		b.Manifest.Result.Parts = b.Parts.Sums()
		b.Manifest.Stamp.Engine = "1"
		report, err := b.Reproduce(t.Context(), program, unbound, 2)
		require.NoError(t, err)
		require.False(t, report.Same)
		require.Equal(t, []string{"trials"}, report.Differs)
		require.Contains(t, report.First, "sma_cross: trial 7: score_is was ")
		require.Contains(t, report.Causes[0], "engine: it was made by engine 1, this program is engine "+backtest.Engine)
	})
	t.Run("data", func(t *testing.T) {
		t.Parallel()
		b := made(t)
		bars, err := ohlcv.Decode(b.Data[0])
		require.NoError(t, err)
		bars.Close[500] = (bars.High[500] + bars.Low[500]) / 2
		b.Data[0], err = ohlcv.Encode(bars)
		require.NoError(t, err)
		report, err := b.Reproduce(t.Context(), program, unbound, 2)
		require.NoError(t, err)
		require.False(t, report.Same)
		require.Contains(t, report.Causes[0], "data: dataset sample")
		require.ErrorContains(t, b.Check(), "dataset sample has the bars")
	})
	t.Run("spec", func(t *testing.T) {
		t.Parallel()
		b := made(t)
		b.Spec = bytes.Replace(b.Spec, []byte(`"oos_ratio":0.3`), []byte(`"oos_ratio":0.31`), 1)
		report, err := b.Reproduce(t.Context(), program, unbound, 2)
		require.NoError(t, err)
		require.Contains(t, report.Causes[0], "spec:")
	})
}

func TestHostileFilesAreRefused(t *testing.T) {
	t.Parallel()
	good := file(t, made(t))
	// repack writes the files of the good archive, changed.
	repack := func(change func(name string, body []byte) (string, []byte), more ...string) []byte {
		in, err := zip.NewReader(bytes.NewReader(good), int64(len(good)))
		require.NoError(t, err)
		var out bytes.Buffer
		archive := zip.NewWriter(&out)
		for _, f := range in.File {
			r, err := f.Open()
			require.NoError(t, err)
			var body bytes.Buffer
			_, err = body.ReadFrom(r)
			require.NoError(t, err)
			name, changed := change(f.Name, body.Bytes())
			if name == "" {
				continue
			}
			w, err := archive.Create(name)
			require.NoError(t, err)
			_, err = w.Write(changed)
			require.NoError(t, err)
		}
		for _, name := range more {
			w, err := archive.Create(name)
			require.NoError(t, err)
			_, err = w.Write([]byte("more"))
			require.NoError(t, err)
		}
		require.NoError(t, archive.Close())
		return out.Bytes()
	}
	same := func(name string, body []byte) (string, []byte) { return name, body }
	for name, c := range map[string]struct {
		body []byte
		says string
	}{
		"not a zip":         {[]byte("PK nothing"), "not a zip archive"},
		"path traversal":    {repack(same, "../../etc/passwd"), "does not belong there"},
		"absolute path":     {repack(same, "/result/outcome"), "does not belong there"},
		"the same twice":    {repack(same, "spec.json"), "twice"},
		"too large a text":  {repack(same, "script.pine")[:100], "not a zip archive"},
		"a file not summed": {repack(same, "result/more"), "does not have the hash"},
		"a file missing": {repack(func(name string, body []byte) (string, []byte) {
			if name == "result/ranking" {
				return "", nil
			}
			return name, body
		}), "not in the file"},
		"a changed file": {repack(func(name string, body []byte) (string, []byte) {
			if name == "result/outcome" {
				return name, append(body, ' ')
			}
			return name, body
		}), "does not have the hash"},
		"a bomb": {repack(func(name string, body []byte) (string, []byte) {
			if name == "spec.json" {
				return name, make([]byte, 9<<20)
			}
			return name, body
		}), "more than is allowed"},
	} {
		_, err := read(c.body)
		require.ErrorContains(t, err, c.says, name)
	}
}

// A leaderboard whose entries were encoded one by one has the sum of one that is encoded at once.
func TestSumsOfEntriesThatAreStoredAreThoseOfTheLeaderboard(t *testing.T) {
	t.Parallel()
	spec := sweep.Spec{
		StrategyName: "sma_cross", OOSRatio: new(0.3), Gates: sweep.GateLimits{MaxDrawdownPct: new(60.0), MinTrades: new(1)},
		ParamSpace: map[string]sweep.Range{"fast": {Low: new(2.0), High: new(9.0)}, "slow": {Low: new(10.0), High: new(19.0)}},
	}
	spec.Normalize()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 800})
	require.NoError(t, err)
	plan, faults := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
	require.Empty(t, faults)
	found, table, err := plan.RunWhole(t.Context(), 1)
	require.NoError(t, err)
	for _, most := range []int{0, 7, 1000} {
		want, err := manifest.OfTune(found, most)
		require.NoError(t, err)
		want["trials"] = table.Bytes()
		got, err := manifest.TuneSums(found, most)
		require.NoError(t, err)
		require.Equal(t, want.Sums(), got)
	}
}
