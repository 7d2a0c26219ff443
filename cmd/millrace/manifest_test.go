package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/manifest"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// asWorkspace runs a verb with a key of the fleet.
func (f *fleetUnderTest) asWorkspace(key string, args ...string) (status int, stdout, stderr string) {
	f.t.Helper()
	var out, errs bytes.Buffer
	status = run(f.t.Context(), append(args, "--url", f.url, "--api-key", key), &out, &errs)
	return status, out.String(), errs.String()
}

// elsewhere is the key of another workspace, which has nothing of the first.
func (f *fleetUnderTest) elsewhere() string {
	f.t.Helper()
	pool, err := store.OpenPool(f.t.Context(), store.PoolOptions{DatabaseURL: f.cluster.URL(), MaxConns: 2})
	require.NoError(f.t, err)
	defer pool.Close()
	st := stores.New(pool, nil)
	workspace, err := st.Tenants.CreateWorkspace(f.t.Context(), "elsewhere", 2)
	require.NoError(f.t, err)
	key, err := st.Tenants.CreateKey(f.t.Context(), workspace.ID, "elsewhere", tenants.RoleOwner)
	require.NoError(f.t, err)
	return key
}

// Results are made again from the server and from their file, and by another workspace from the file alone: a tune, a
// walk-forward over two datasets and one of a script, a run, a tune and a walk-forward that follow bars inside their bars,
// and a run on bars that were appended. A file with one byte changed is refused.
func TestAResultIsReproducedExportedAndImported(t *testing.T) {
	f := newFleet(t)
	f.url = "http://" + f.process("api", "--addr", "127.0.0.1:0", "--limit-uploads", "0").await("addr=")
	f.process("worker")
	other := f.elsewhere()
	f.hold(f.carried(f.finishedTune().TuneID, other), other)
	f.uploadInside()
	second, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 2, Bars: 600})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, second))
	f.upload("second", csv.Bytes())
	const space = `"strategy_name":"sma_cross","param_space":{"fast":[5,8],"slow":[20,40]},"gates":{"max_drawdown_pct":99,"min_trades":0}`
	const narrow = `"stops":{"stop_pct":0.3,"target_pct":0.3},"intrabar_dataset":"quarters"`
	for _, r := range []result{
		{kind: "walk-forward", route: "/backtests/wfo", body: `{"datasets":["walk","second"],"oos_ratio":0.3,` + space + `,"wfo_config":{"train_days":200,"test_days":100}}`},
		{kind: "walk-forward of a script", route: "/backtests/wfo", body: `{"dataset":"walk","strategy_name":"` + f.storeScript("cross", crossScript("over")).Name + `",
			"search_type":"random","n_trials":4,"param_space":{"Fast":{"low":2,"high":20},"Slow":{"low":21,"high":60}},
			"gates":{"max_drawdown_pct":99,"min_trades":0},"wfo_config":{"train_days":200,"test_days":100}}`},
		{kind: "run inside", route: "/backtests/run", body: `{"dataset":"hours","strategy_name":"donchian_breakout","params":{"entry":10},` + narrow + `}`},
		{kind: "tune inside", route: "/backtests/tune", body: `{"dataset":"hours",` + space + `,` + narrow + `}`},
		{kind: "walk-forward inside", route: "/backtests/wfo", body: `{"dataset":"hours",` + space + `,` + narrow + `,"wfo_config":{"train_days":15,"test_days":10}}`},
	} {
		f.submitResult(&r, "carried")
		f.finished(&r)
		f.carried(r.location[strings.LastIndex(r.location, "/")+1:], other)
	}
	f.growsByTheCommandLine()
	appended := result{kind: "run", route: "/backtests/run", body: `{"dataset":"walk@2","strategy_name":"sma_cross","params":{"fast":5,"slow":20}}`}
	f.submitResult(&appended, "carried")
	f.hold(f.carried(appended.location[strings.LastIndex(appended.location, "/")+1:], other), other)
}

// uploadInside stores bars of an hour and those of a quarter of an hour that they are made of.
func (f *fleetUnderTest) uploadInside() {
	f.t.Helper()
	fine, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 5, Bars: 4 * 1440, Interval: 15 * time.Minute})
	require.NoError(f.t, err)
	var quarters, hours bytes.Buffer
	require.NoError(f.t, ohlcv.WriteCSV(&quarters, fine))
	hours.WriteString("time,open,high,low,close\n")
	for i := 0; i < fine.Len(); i += 4 {
		fmt.Fprintf(&hours, "%s,%v,%v,%v,%v\n", time.UnixMicro(fine.Time[i]).UTC().Format(time.RFC3339), fine.Open[i],
			slices.Max(fine.High[i:i+4]), slices.Min(fine.Low[i:i+4]), fine.Close[i+3])
	}
	f.uploadOf("hours", "inside", hours.Bytes())
	f.uploadOf("quarters", "inside", quarters.Bytes())
}

// carried makes a result again in every way that there is, and by another workspace from its file, which it returns.
func (f *fleetUnderTest) carried(id, other string) (file string) {
	f.t.Helper()
	t := f.t
	file = filepath.Join(t.TempDir(), "result.zip")
	for _, args := range [][]string{{"manifest", id}, {"reproduce", id}, {"export", id, file}, {"reproduce", file}} {
		status, out, errs := f.asWorkspace(f.key, args...)
		require.Zero(t, status, "%v: %s%s", args, out, errs)
		if args[0] == "reproduce" {
			require.Contains(t, out, "the same bytes")
		}
	}
	status, _, errs := f.asWorkspace(other, "manifest", id)
	require.Equal(t, 1, status, "another workspace reads the manifest")
	require.Contains(t, errs, "404")

	status, out, errs := f.asWorkspace(other, "import", file)
	require.Zero(t, status, errs)
	require.Contains(t, out, "the same bytes as in the file")
	status, _, errs = f.asWorkspace(other, "reproduce", strings.Fields(out)[1])
	require.Zero(t, status, errs)

	return file
}

// hold has both verbs refuse a file with a changed byte, and say what differs where it states another result under hashes
// that fit it, with status 1.
func (f *fleetUnderTest) hold(path, other string) {
	f.t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(f.t, err)
	raw[len(raw)/2] ^= 1
	damaged := filepath.Join(f.t.TempDir(), "damaged.zip")
	require.NoError(f.t, os.WriteFile(damaged, raw, 0o600))
	for _, verb := range []string{"reproduce", "import"} {
		status, _, errs := f.asWorkspace(other, verb, damaged)
		require.Equal(f.t, 1, status, "%s takes a file with a changed byte", verb)
		require.NotEmpty(f.t, errs)
	}
	b, err := readBundle(path)
	require.NoError(f.t, err)
	part := "outcome"
	if b.Manifest.Kind == manifest.Run {
		part = "metrics"
	}
	b.Parts[part] = append(bytes.TrimSuffix(b.Parts[part], []byte("}")), []byte(`,"zzz":1}`)...)
	b.Manifest.Result.Parts[part] = manifest.Sum(b.Parts[part])
	body, err := b.Manifest.Canonical()
	require.NoError(f.t, err)
	b.Sum = manifest.Sum(body)
	var out bytes.Buffer
	require.NoError(f.t, b.Write(&out))
	changed := filepath.Join(f.t.TempDir(), "changed.zip")
	require.NoError(f.t, os.WriteFile(changed, out.Bytes(), 0o600))
	status, said, errs := f.asWorkspace(other, "reproduce", changed)
	require.Equal(f.t, 1, status, said)
	require.Contains(f.t, said, "DIFFERS in "+part)
	require.Contains(f.t, said, ": "+part+".zzz was 1 and is <nil>")
	require.Contains(f.t, said, "data, engine and spec are those of the manifest")
	require.Contains(f.t, errs, "1 of 1 results came out otherwise")
	status, _, errs = f.asWorkspace(other, "import", changed)
	require.Equal(f.t, 1, status)
	require.Contains(f.t, errs, "differs in "+part)
}

// growsByTheCommandLine appends to the dataset of a tune, writes it again and describes it otherwise.
func (f *fleetUnderTest) growsByTheCommandLine() {
	f.t.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 620})
	require.NoError(f.t, err)
	file := func(name string, bars *backtest.Bars) string {
		var csv bytes.Buffer
		require.NoError(f.t, ohlcv.WriteCSV(&csv, bars))
		path := filepath.Join(f.t.TempDir(), name)
		require.NoError(f.t, os.WriteFile(path, csv.Bytes(), 0o600))
		return path
	}
	grown := file("grown.csv", bars.Slice(590, 620))
	other, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 2, Bars: 620})
	require.NoError(f.t, err)
	for _, step := range []struct {
		args   []string
		status int
		says   []string
	}{
		{[]string{"append", "walk", grown}, 0, []string{"walk version 2  620 bars, 20 of them new"}},
		{[]string{"append", "walk", grown}, 0, []string{"walk version 2 has these bars already"}},
		{[]string{"append", "walk", file("other.csv", other.Slice(590, 620))}, 1, []string{"409"}},
		{[]string{"append", "walk", "--rewrite", file("all.csv", other)}, 0, []string{"walk version 3", "rewritten: ", "stale: 1 tune, 2 walk-forwards, 0 runs of earlier versions"}},
		{[]string{"describe", "walk", "--currency", "USD"}, 0, []string{"walk version 4"}},
		{[]string{"versions", "walk"}, 0, []string{"attributes", "rewrite", "append", "3 stale"}},
		{[]string{"list"}, 0, []string{"walk      4"}},
	} {
		status, out, errs := f.asWorkspace(f.key, append([]string{"data"}, step.args...)...)
		require.Equal(f.t, step.status, status, "%v: %s %s", step.args, out, errs)
		for _, says := range step.says {
			require.Contains(f.t, out+errs, says, step.args)
		}
	}
}
