package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// daysOf are bars of days, of weekdays only or of all.
func daysOf(from string, n int, weekends bool) []byte {
	day, _ := time.Parse(time.DateOnly, from)
	text := strings.Builder{}
	text.WriteString("time,open,high,low,close,volume\n")
	for made := 0; made < n; day = day.AddDate(0, 0, 1) {
		if weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday; weekends || !weekend {
			fmt.Fprintf(&text, "%s,100,101,99,100.5,1000\n", day.Format(time.DateOnly))
			made++
		}
	}
	return []byte(text.String())
}

// Bars after a gap of months, and bars of weekends where there were none, are asked about and taken when the answer
// says so; weeks without a bar, and weekends where there are some, are not.
func TestAnAppendAsksAboutGapsOfMonthsAndAboutWeekends(t *testing.T) {
	r := newFixture(t)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "weekdays", daysOf("2024-01-01", 60, false)).status)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "always", daysOf("2024-01-01", 60, true)).status)
	for _, test := range []struct {
		name   string
		file   []byte
		option string
		says   string
	}{
		{"weekdays", daysOf("2026-03-02", 10, false), "gap", "days without a bar"},
		{"weekdays", daysOf("2024-03-25", 6, true), "weekend", "of a Saturday"},
		{"always", daysOf("2024-06-01", 3, true), "gap", "days without a bar"},
	} {
		a := r.extend(test.name, test.file, nil)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, string(a.body))
		require.Contains(t, string(a.body), `"field":"`+test.option+`"`)
		require.Contains(t, string(a.body), test.says)
		require.Contains(t, string(a.body), test.option+"=any")
		require.Equal(t, http.StatusUnprocessableEntity, r.extend(test.name, test.file, map[string]string{test.option: "yes"}).status)
	}
	require.Equal(t, 2, r.count(`select count(*) from datasets`), "a file with an open question is stored")
	require.Equal(t, http.StatusOK, r.extend("weekdays", daysOf("2024-04-12", 3, false), nil).status, "three weeks without a bar")
	require.Equal(t, http.StatusOK, r.extend("weekdays", daysOf("2024-04-17", 10, true), map[string]string{"weekend": "any"}).status)
	require.Equal(t, http.StatusOK, r.extend("weekdays", daysOf("2026-03-02", 10, false), map[string]string{"gap": "any"}).status)
	require.Equal(t, http.StatusOK, r.extend("always", daysOf("2024-03-01", 10, true), nil).status)
}

// Name, note and tags go on with the next version of a dataset, however it comes about, and are read and put by the
// dataset's name as well as by its id; the audit log has them as they were and as they are.
func TestADatasetKeepsItsLabelOverItsVersions(t *testing.T) {
	r := newFixture(t)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "spx", daysOf("2024-01-01", 60, false)).status)
	put := r.do(http.MethodPut, "/datasets/spx/label", `{"name":"Index","note":"by the close","tags":["daily"]}`)
	require.Equal(t, http.StatusOK, put.status, string(put.body))
	require.Equal(t, http.StatusOK, r.do(http.MethodPut, "/datasets/spx/label", `{"name":"The index","note":"by the close","tags":["daily"]}`).status)
	entries := r.audits()
	last := entries[len(entries)-1]
	require.Equal(t, "PUT /datasets/:id/label", last.Route)
	require.Equal(t, "Index", last.Before["name"])
	require.Equal(t, "The index", last.After["name"])
	label := func(of string) types.Label {
		a := r.do(http.MethodGet, "/datasets/"+of+"/label", "")
		require.Equal(t, http.StatusOK, a.status, string(a.body))
		return into[types.Label](t, a)
	}
	kept := func(of, how string) {
		found := label(of)
		require.Equal(t, []any{"The index", "by the close", []string{"daily"}}, []any{found.Name, found.Note, found.Tags}, how)
	}
	kept("spx", "by name")
	grown := into[types.ExtendedDataset](t, r.extend("spx", daysOf("2024-03-25", 5, false), nil))
	require.True(t, grown.Made)
	kept("spx", "after an append")
	kept(grown.Dataset.DatasetID, "by the id of the version")
	described := r.do(http.MethodPatch, "/datasets/spx", `{"currency":"USD"}`)
	require.Equal(t, http.StatusOK, described.status)
	kept("spx@3", "after another description")
	entries = r.audits()
	last = entries[len(entries)-1]
	require.Equal(t, "PATCH /datasets/:id", last.Route)
	require.Equal(t, []any{"", "USD"}, []any{last.Before["currency"], last.After["currency"]})
	require.Equal(t, []any{"spx@2", "spx@3"}, []any{last.Before["name"], last.After["name"]})
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/datasets/nothing/label", "").status)
}

// A rewrite that leaves every stored bar as it is makes no result stale: with the same bars it makes no version, and with more
// at the end it is an append.
func TestARewriteThatReplacesNoBarMakesNothingStale(t *testing.T) {
	r := newFixture(t)
	r.startWorker()
	file := candles(t, 1, 820)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "spx", lines(file, 0, 800)).status)
	r.tuneOn("spx", "one")
	again := into[types.ExtendedDataset](t, r.extend("spx", lines(file, 0, 800), map[string]string{"rewrite": "true"}))
	require.False(t, again.Made)
	a := r.extend("spx", file, map[string]string{"rewrite": "true"})
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	more := into[types.ExtendedDataset](t, a)
	require.Equal(t, []any{true, 20, 800}, []any{more.Made, more.AddedBars, more.OverlappingBars})
	require.Empty(t, more.Stale.IDs, "results on bars that are still there are called stale")
	versions := into[types.List[types.DatasetVersion]](t, r.do(http.MethodGet, "/datasets/spx/versions", ""))
	require.Len(t, versions.Items, 2)
	require.EqualValues(t, "append", versions.Items[0].Change)
	require.False(t, versions.Items[1].Stale)
}
