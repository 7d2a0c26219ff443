package api_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
)

// sheet is a table as its readers see it: numbers as float64, times in RFC 3339, null as nil.
type sheet struct {
	names []string
	rows  []map[string]any
}

func arrowSheet(t *testing.T, data []byte) (s sheet) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	defer r.Release()
	for _, field := range r.Schema().Fields() {
		s.names = append(s.names, field.Name)
	}
	for r.Next() {
		record := r.RecordBatch()
		for i := range int(record.NumRows()) {
			row := map[string]any{}
			for k, column := range record.Columns() {
				row[s.names[k]] = nil
				if column.IsNull(i) {
					continue
				}
				switch c := column.(type) {
				case *array.Int64:
					row[s.names[k]] = float64(c.Value(i))
				case *array.Float64:
					row[s.names[k]] = c.Value(i)
				case *array.Timestamp:
					row[s.names[k]] = time.UnixMicro(int64(c.Value(i))).UTC().Format(time.RFC3339Nano)
				case *array.Boolean:
					row[s.names[k]] = c.Value(i)
				case *array.String:
					row[s.names[k]] = c.Value(i)
				}
			}
			s.rows = append(s.rows, row)
		}
	}
	require.NoError(t, r.Err())
	return s
}

func parquetSheet(t *testing.T, data []byte) (s sheet) {
	t.Helper()
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	fields := file.Schema().Fields()
	for _, field := range fields {
		s.names = append(s.names, field.Name())
	}
	for _, group := range file.RowGroups() {
		rows := make([]parquet.Row, group.NumRows())
		in := group.Rows()
		n, _ := in.ReadRows(rows)
		require.Equal(t, int(group.NumRows()), n)
		for _, values := range rows {
			row := map[string]any{}
			for k, v := range values {
				row[s.names[k]] = nil
				switch {
				case v.IsNull():
				case v.Kind() == parquet.Double:
					row[s.names[k]] = v.Double()
				case v.Kind() == parquet.Boolean:
					row[s.names[k]] = v.Boolean()
				case v.Kind() == parquet.ByteArray:
					row[s.names[k]] = string(v.ByteArray())
				case strings.Contains(fields[k].Type().String(), "TIMESTAMP"):
					row[s.names[k]] = time.UnixMicro(v.Int64()).UTC().Format(time.RFC3339Nano)
				default:
					row[s.names[k]] = float64(v.Int64())
				}
			}
			s.rows = append(s.rows, row)
		}
		require.NoError(t, in.Close())
	}
	return s
}

// csvSheet has texts; they are held against the other forms by alike.
func csvSheet(t *testing.T, data []byte) (s sheet) {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	require.NoError(t, err)
	s.names = lines[0]
	for _, line := range lines[1:] {
		row := map[string]any{}
		for k, text := range line {
			row[s.names[k]] = text
		}
		s.rows = append(s.rows, row)
	}
	return s
}

func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

func (r *fixture) table(path, format string) (sheet, answer) {
	r.t.Helper()
	a := r.do(http.MethodGet, path, "", "Accept", format)
	require.Equal(r.t, http.StatusOK, a.status, string(a.body))
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	require.Equal(r.t, format, media, path)
	switch format {
	case parquetMedia:
		return parquetSheet(r.t, a.body), a
	case arrowMedia:
		return arrowSheet(r.t, a.body), a
	}
	return csvSheet(r.t, a.body), a
}

const (
	arrowMedia   = "application/vnd.apache.arrow.stream"
	parquetMedia = "application/vnd.apache.parquet"
)

// Every table holds the same rows in every form.
func TestTablesAreTheSameInEveryForm(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	tune := r.started("one")
	require.Contains(t, string(r.do(http.MethodGet, "/backtests/tunes/"+tune+"?wait=50s", "").body), `"status":"completed"`)
	wfo := r.do(http.MethodPost, "/backtests/wfo", smallWFO, "X-Idempotency-Key", "w").header.Get("Location")
	require.Contains(t, string(r.do(http.MethodGet, wfo+"?wait=50s", "").body), `"status":"completed"`)
	ran := r.do(http.MethodPost, "/backtests/run", `{"dataset":"sp500","strategy_name":"sma_cross","params":{"fast":10,"slow":50}}`)
	require.Equal(t, http.StatusCreated, ran.status, string(ran.body))
	run := ran.header.Get("Location")

	for _, c := range []struct {
		path   string
		column string // a column
		member string // where JSON has it
		rows   int    // at least
		ownCSV bool   // CSV has columns of its own
	}{
		{"/backtests/tunes/" + tune + "/trials", "score_oos", "score_oos", 12, false},
		{"/backtests/tunes/" + tune + "/trials?limit=5", "fast", "params.fast", 5, false},
		{"/backtests/tunes/" + tune + "/trials?sort=score", "trades_is", "trades_is", 12, false},
		{"/backtests/tunes/" + tune + "/trials?status=completed", "status", "status", 1, false},
		{"/backtests/tunes/" + tune + "/leaderboard", "sharpe_oos", "metrics_oos.sharpe", 1, false},
		{"/backtests/leaderboard", "sharpe", "entry.metrics_oos.sharpe", 1, true},
		{wfo + "/candidates", "selection_score", "selection_score", 1, false},
		{wfo + "/equity", "equity", "equity", 1000, false},
		{run + "/trades", "entry_time", "entry_time", 10, true},
		{run + "/equity", "equity", "equity", 1000, false},
		{run + "/returns", "return", "return", 1000, false},
		{"/datasets/sp500/bars?limit=10000", "close", "close", 1000, false},
	} {
		var page struct{ Items []map[string]any }
		require.NoError(t, json.Unmarshal(r.do(http.MethodGet, c.path, "").body, &page), c.path)
		require.GreaterOrEqual(t, len(page.Items), c.rows, c.path)
		packed, _ := r.table(c.path, arrowMedia)
		require.Len(t, packed.rows, len(page.Items), c.path)
		for i, item := range page.Items {
			value := any(item)
			for part := range strings.SplitSeq(c.member, ".") {
				value = value.(map[string]any)[part]
			}
			require.Equal(t, value, packed.rows[i][c.column], "%s row %d", c.path, i)
		}
		file, _ := r.table(c.path, parquetMedia)
		require.Equal(t, packed, file, c.path)
		lines, _ := r.table(c.path, "text/csv")
		require.NotEmpty(t, lines.rows, c.path)
		if c.ownCSV {
			continue
		}
		require.Len(t, lines.rows, len(page.Items), c.path)
		require.Equal(t, packed.names, lines.names, c.path)
		for i := range lines.rows {
			for _, name := range packed.names {
				require.Equal(t, asText(packed.rows[i][name]), lines.rows[i][name], "%s row %d %s", c.path, i, name)
			}
		}
	}

	// The returns are what the Sharpe ratio is made of.
	var returns struct{ Items []struct{ Return float64 } }
	require.NoError(t, json.Unmarshal(r.do(http.MethodGet, run+"/returns", "").body, &returns))
	var sum, squares float64
	for _, item := range returns.Items {
		sum += item.Return
	}
	n := float64(len(returns.Items))
	for _, item := range returns.Items {
		squares += (item.Return - sum/n) * (item.Return - sum/n)
	}
	var shown struct{ Metrics struct{ Sharpe float64 } }
	require.NoError(t, json.Unmarshal(r.do(http.MethodGet, run, "").body, &shown))
	require.InDelta(t, shown.Metrics.Sharpe, math.Sqrt(252)*sum/n/math.Sqrt(squares/(n-1)), 1e-9)
}

// A Parquet file is read in parts, from its end: its readers ask for its length, and for ranges of it.
func TestAParquetFileIsReadInParts(t *testing.T) {
	r := newFixture(t).withSample()
	const path = "/datasets/sp500/bars?format=parquet"
	_, whole := r.table("/datasets/sp500/bars", parquetMedia)
	head := r.do(http.MethodHead, path, "")
	require.Equal(t, http.StatusOK, head.status)
	require.Equal(t, strconv.Itoa(len(whole.body)), head.header.Get("Content-Length"))
	require.Equal(t, "bytes", head.header.Get("Accept-Ranges"))
	tail := r.do(http.MethodGet, path, "", "Range", "bytes=-8", "If-Match", head.header.Get("ETag"))
	require.Equal(t, http.StatusPartialContent, tail.status)
	require.Equal(t, whole.body[len(whole.body)-8:], tail.body)
	require.Equal(t, http.StatusPreconditionFailed, r.do(http.MethodGet, path, "", "Range", "bytes=-8", "If-Match", `"other"`).status)
	require.Equal(t, http.StatusOK, r.do(http.MethodHead, "/datasets/sp500/bars?format=arrow", "").status)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodHead, path, "", "Authorization", "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "", "Authorization", "Bearer "+r.other).status)
}

func TestAFormatThatIsNotKnownIsNamed(t *testing.T) {
	r := newFixture(t).withSample()
	a := r.do(http.MethodGet, "/datasets/sp500/bars?format=xlsx", "")
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, string(a.body), `"format"`)
	require.Contains(t, string(a.body), "parquet")
	for accept, media := range map[string]string{
		"text/html, */*":                          "application/json",
		"application/json, text/csv":              "application/json",
		"text/csv; q=1, " + arrowMedia:            "text/csv; charset=utf-8",
		"application/octet-stream, " + arrowMedia: arrowMedia,
	} {
		require.Equal(t, media, r.do(http.MethodGet, "/datasets/sp500/bars?limit=3", "", "Accept", accept).header.Get("Content-Type"), accept)
	}
	first := r.do(http.MethodGet, "/datasets/sp500/bars?limit=3&format=arrow", "")
	require.Contains(t, first.header.Get("Link"), "format=arrow")
	page := r.do(http.MethodGet, strings.TrimSuffix(strings.TrimPrefix(first.header.Get("Link"), "<"), `>; rel="next"`), "")
	require.Len(t, arrowSheet(t, page.body).rows, 3)
}
