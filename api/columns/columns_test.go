package columns_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"millrace/api/columns"
)

var fields = []columns.Field{
	{Name: "index", Kind: columns.Int}, {Name: "a, b \"c\" \x01", Kind: columns.Float}, {Name: "status", Kind: columns.Word},
	{Name: "at", Kind: columns.Time}, {Name: "good", Kind: columns.Bool}, {Name: "reason", Kind: columns.Text},
}

// written is a table of n rows; every third has nulls.
func written(t *testing.T, format columns.Format, n, batch int) ([]byte, [][]any) {
	t.Helper()
	var out bytes.Buffer
	w, err := columns.New(format, fields, &out)
	require.NoError(t, err)
	b := columns.NewBatch(fields)
	var rows [][]any
	for i := range n {
		row := []any{int64(i), float64(i) / 3, fmt.Sprint("status ", i%3), int64(i) * 1_000_001, i%2 == 0, strings.Repeat("é", i%5)}
		if i%3 == 0 {
			row = []any{int64(i), nil, nil, nil, nil, nil}
		}
		rows = append(rows, row)
		b.Row(row...)
		if b.Rows() == batch {
			require.NoError(t, w.Write(b))
			b.Reset()
		}
	}
	if b.Rows() > 0 {
		require.NoError(t, w.Write(b))
	}
	require.NoError(t, w.Close())
	return out.Bytes(), rows
}

func readArrow(t *testing.T, data []byte) (rows [][]any) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	defer r.Release()
	for i, field := range r.Schema().Fields() {
		require.Equal(t, fields[i].Name, field.Name)
	}
	for r.Next() {
		record := r.RecordBatch()
		for i := range int(record.NumRows()) {
			var row []any
			for _, column := range record.Columns() {
				row = append(row, arrowValue(column, i))
			}
			rows = append(rows, row)
		}
	}
	require.NoError(t, r.Err())
	return rows
}

func arrowValue(column any, i int) any {
	switch c := column.(type) {
	case interface{ IsNull(int) bool }:
		if c.IsNull(i) {
			return nil
		}
	}
	switch c := column.(type) {
	case *array.Int64:
		return c.Value(i)
	case *array.Float64:
		return c.Value(i)
	case *array.String:
		return c.Value(i)
	case *array.Timestamp:
		return int64(c.Value(i))
	case *array.Boolean:
		return c.Value(i)
	}
	return fmt.Sprintf("%T", column)
}

func readParquet(t *testing.T, data []byte) (rows [][]any) {
	t.Helper()
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	for i, column := range file.Schema().Columns() {
		require.Equal(t, []string{fields[i].Name}, column)
	}
	for _, group := range file.RowGroups() {
		in := group.Rows()
		page := make([]parquet.Row, 100)
		for {
			n, err := in.ReadRows(page)
			for _, values := range page[:n] {
				var row []any
				for k, v := range values {
					row = append(row, parquetValue(fields[k].Kind, v))
				}
				rows = append(rows, row)
			}
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
		require.NoError(t, in.Close())
	}
	return rows
}

func parquetValue(kind columns.Kind, v parquet.Value) any {
	switch {
	case v.IsNull():
		return nil
	case kind == columns.Float:
		return v.Double()
	case kind == columns.Bool:
		return v.Boolean()
	case kind == columns.Text, kind == columns.Word:
		return string(v.ByteArray())
	}
	return v.Int64()
}

func TestATableIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 1000, 140_000} {
		batch := min(max(n/3, 1), columns.MaxBatch)
		data, want := written(t, columns.Arrow, n, batch)
		require.Equal(t, want, readArrow(t, data), "%d rows of arrow", n)
		data, want = written(t, columns.Parquet, n, batch)
		require.Equal(t, want, readParquet(t, data), "%d rows of parquet", n)
	}
}

func TestWhatIsNotFiniteIsNull(t *testing.T) {
	t.Parallel()
	one := []columns.Field{{Name: "v", Kind: columns.Float}}
	var out bytes.Buffer
	w, err := columns.New(columns.Arrow, one, &out)
	require.NoError(t, err)
	b := columns.NewBatch(one)
	b.Row(math.NaN())
	b.Row(math.Inf(1))
	require.NoError(t, w.Write(b))
	require.NoError(t, w.Close())
	r, err := ipc.NewReader(&out)
	require.NoError(t, err)
	defer r.Release()
	require.True(t, r.Next())
	require.Equal(t, 2, r.RecordBatch().Column(0).NullN())
}

func TestTwoColumnsOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	for _, format := range columns.Formats() {
		_, err := columns.New(format, []columns.Field{{Name: "a"}, {Name: "a"}}, io.Discard)
		require.ErrorContains(t, err, `"a" is there twice`)
	}
}

func TestATableAsCSV(t *testing.T) {
	t.Parallel()
	data, _ := written(t, columns.CSV, 3, 2)
	require.Equal(t, "index,\"a, b \"\"c\"\" \x01\",status,at,good,reason\n0,,,,,\n"+
		"1,0.3333333333333333,status 1,1970-01-01T00:00:01.000001Z,false,é\n"+
		"2,0.6666666666666666,status 2,1970-01-01T00:00:02.000002Z,true,éé\n", string(data))
	data, _ = written(t, columns.CSV, 0, 1)
	require.Contains(t, string(data), "index,")
}

// However long a table is, a part of it is held at once.
func TestAStreamIsWrittenAsItGoes(t *testing.T) {
	t.Parallel()
	for format, most := range map[columns.Format]int{columns.CSV: 1, columns.Arrow: 1, columns.Parquet: 1<<17/columns.MaxBatch + 1} {
		var out bytes.Buffer
		w, err := columns.New(format, fields[:1], &out)
		require.NoError(t, err)
		b := columns.NewBatch(fields[:1])
		for i := range columns.MaxBatch {
			b.Row(i)
		}
		grown := 0
		for i, before := 0, 0; i < 20; i++ {
			require.NoError(t, w.Write(b))
			if out.Len() > before {
				before = out.Len()
				grown++
			}
		}
		require.GreaterOrEqual(t, grown, 20/most, "%s holds back what it was given", format)
		require.NoError(t, w.Close())
	}
}
