package api

import (
	"slices"

	"millrace/api/openapi"
	"millrace/jobs/backtest/pricefile"
)

// The bodies of the document's examples. They run as they are on the bundled sample, uploaded as
// sp500, and tests run them.
const (
	sampleRun = `{"dataset": "sp500", "strategy_name": "sma_cross",
          "params": {"fast": 20, "slow": 100}}`
	sampleQuery     = `{"question": "When does a moving average crossover fail?", "mode": "answer", "top_k": 5}`
	sampleRecommend = `{"strategy_name": "sma_cross", "dataset": "sp500"}`
	sampleTune      = `{"dataset": "sp500", "strategy_name": "sma_cross", "oos_ratio": 0.3,
          "param_space": {"fast": {"low": 5, "high": 50, "step": 5}, "slow": [50, 100, 200]},
          "constraints": ["fast < slow"]}`
	sampleRunPlan = `{"name": "costs and stops",
          "base": {"dataset": "sp500", "strategy_name": "sma_cross", "oos_ratio": 0.3, "stops": {"stop_pct": 10},
                   "param_space": {"fast": [5, 10, 20], "slow": [50, 100, 200]}},
          "grid": {"account.commission": [0, 0.001]}, "ablations": ["stops"]}`
	sampleWFO = `{"dataset": "sp500", "strategy_name": "sma_cross",
          "param_space": {"fast": {"low": 5, "high": 50, "step": 5}, "slow": [50, 100, 200]},
          "constraints": ["fast < slow"],
          "wfo_config": {"train_days": 1460, "test_days": 365}}`
	sampleStrategy         = `{"name": "two-means", "source": "//@version=6\nstrategy(\"Two means\")\nfast = input.int(10, \"Fast\", minval=1)\nslow = input.int(50, \"Slow\", minval=2)\nif ta.crossover(ta.sma(close, fast), ta.sma(close, slow))\n    strategy.entry(\"Long\", strategy.long)\nif ta.crossunder(ta.sma(close, fast), ta.sma(close, slow))\n    strategy.close(\"Long\")\n"}`
	sampleDocumentStrategy = `{"name": "from-a-document"}`
	sampleCheck            = `{"source": "//@version=6\nstrategy(\"Every tenth bar\")\nif bar_index % 10 == 0\n    strategy.entry(\"Long\", strategy.long)\nif bar_index % 10 == 5\n    strategy.close(\"Long\")\n"}`
	sampleWorkspace        = `{"name": "research", "tune_cap": 4}`
	sampleLimits           = `{"tune_cap": 8, "limits": {"submissions_per_minute": 600}}`
	sampleAdminToken       = `{"name": "ada"}`
	sampleKey              = `{"name": "ci", "role": "member"}`
	sampleAdminsKey        = `{"name": "ci-2", "role": "member"}`
	sampleIngest           = `{"title": "Opening range", "text": "The first half hour sets the range; a close above it is a long entry."}`
	samplePrune            = `{"days": 90, "batch_size": 10000, "dry_run": true}`

	// A shell puts the variables in.
	sampleLogin   = `{"token": "'"$ADMIN_TOKEN"'"}`
	sampleResolve = `{"note": "Two papers on it are on their way."}`
	sampleMatch   = `{"run_id": "'"$RUN_ID"'"}` // of a recommendation or query
	sampleTicket  = `{"workspace_id": "'"$MILLRACE_WORKSPACE_ID"'"}`
)

// datasetForm are the parts of an upload.
var datasetForm = []openapi.Part{
	{Name: "file", Doc: "OHLCV as CSV or Parquet: time, open, high, low, close and, if you like, volume", File: true, Required: true},
	{Name: "name", Doc: "unique within the workspace", Required: true},
	{Name: "symbol", Required: true},
	{Name: "timeframe", Doc: "such as 1d or 5m; by default found in the bars, and refused when it contradicts them"},
	{Name: "calendar", Doc: "trading days a year: 252, 260 (weekdays around the clock) or 365; by default found in the bars"},
	{Name: "time_zone", Doc: "IANA name: of times without a zone, and of the instrument's days"},
	{Name: "date_order", Doc: "dmy or mdy, when the file does not decide"},
	{Name: "time_format", Doc: "of numbers as times, when they do not decide: unix_s, YYYYMMDD, excel, …"},
	{Name: "decimal", Doc: "the decimal mark, . or , when the file does not decide"},
	{Name: "price_scale", Doc: "a number that prices are multiplied by, such as 1e-9"},
	{Name: "adjust", Doc: "none (default) or split_dividend: scale prices by the adjusted close"},
	{Name: "columns", Doc: "which column is which, as in time=Date,close=Last or time=1,open=2"},
	{Name: "ticker", Doc: "the instrument to read of a file that holds several"},
	{Name: "order", Doc: "sort: rows in no order are sorted by time"},
	{Name: "time_range", Doc: "any: also times before 1950 and in the future"},
	{Name: "jump", Doc: "any: prices may change tenfold between two bars, and by a split's factor between stored and appended ones"},
	{Name: "periods_per_year", Doc: "returns in a year, by which figures are annualised; by default by the calendar, or as observed"},
	{Name: "session", Doc: "HH:MM-HH:MM in the time zone; one over midnight, such as 17:00-17:00, ends its day"},
	{Name: "tick_size", Doc: "smallest price step; by default as the prices show"},
	{Name: "quantity_step", Doc: "smallest step of a quantity"},
	{Name: "point_value", Doc: "money a price move of one makes for one unit"},
	{Name: "currency", Doc: "of the prices, such as USD"},
}

// sampleChange is a change of a dataset's description.
const sampleChange = `{"currency": "USD", "point_value": 50}`

// extendForm are the parts of bars for a dataset: how its file is read, and what is to become of it.
func extendForm() []openapi.Part {
	var parts []openapi.Part
	for _, part := range datasetForm {
		if part.File || slices.Contains(pricefile.OptionNames(), part.Name) {
			parts = append(parts, part)
		}
	}
	return append(parts,
		openapi.Part{Name: "rewrite", Doc: "true: the bars replace all that are stored, as after a split or a dividend"},
		openapi.Part{Name: "gap", Doc: "any: months without a bar may lie between stored and new ones"},
		openapi.Part{Name: "weekend", Doc: "any: new bars may be of a weekend where no stored one is"})
}

// inspectForm are the parts of an inspection: those of an upload, none of which but the file is needed.
func inspectForm() []openapi.Part {
	parts := slices.Clone(datasetForm)
	for i := range parts {
		parts[i].Required = parts[i].File
	}
	return parts
}

// strategyForm are the parts of a script that is sent as a form.
var strategyForm = []openapi.Part{
	{Name: "file", Doc: "a Pine script, at most 262144 bytes", File: true},
	{Name: "source", Doc: "the script, in place of a file"},
	{Name: "name", Doc: "letters, digits, _ . -; default made of the script's title"},
}

// ingestForm are the parts of a source that is sent as a form.
var ingestForm = []openapi.Part{
	{Name: "file", Doc: "a PDF, page, transcript (.vtt, .srt, json3), Pine Script, text, Markdown, or OHLCV as CSV or Parquet", File: true},
	{Name: "url", Doc: "where it is from"},
	{Name: "text", Doc: "the source, in place of a file"},
	{Name: "name", Doc: "its file name; the same name and content again change nothing, other content is another document"},
	{Name: "source", Doc: "what the file is known by, such as its path, or the url of a document that was sent: the same source again replaces the document"},
	{Name: "title", Doc: "in place of the source's own; of a dataset, its name"},
	{Name: "source_type", Doc: "default: found out"},
	{Name: "language", Doc: "of the subtitles to fetch"},
	{Name: "symbol", Doc: "of a dataset"},
	{Name: "timeframe", Doc: "of a dataset; default: found in the bars"},
	{Name: "calendar", Doc: "of a dataset: 252 (default) or 365"},
}

// formSamples are the values of the parts in examples.
var formSamples = map[string]string{
	"file": "@prices.csv", "name": "spx", "symbol": "SPX", "timeframe": "1d", "calendar": "252",
}
