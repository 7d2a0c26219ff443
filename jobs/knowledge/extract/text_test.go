package extract_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
)

// rejected asserts that err gives the sender a reason that contains want.
func rejected(t *testing.T, err error, want string) {
	t.Helper()
	var rejection *knowledge.Rejection
	require.True(t, errors.As(err, &rejection), "%v", err)
	require.Contains(t, rejection.Reason, want)
}

const note = `---
title: "Opening range"
author: A. Trader
date: 2024-05-06
---
# Opening range breakout

The first thirty minutes set the range.
A close above it is a long entry.

## Exits

` + "```pine\nif close < low_\n\n    strategy.close_all()\n```" + `
`

func TestMarkdownKeepsHeadingsCodeAndLines(t *testing.T) {
	t.Parallel()
	e, err := extract.Text([]byte(note), "orb.md")
	require.NoError(t, err)
	require.Equal(t, "Opening range", e.Title)
	require.Equal(t, "A. Trader", e.Author)
	require.Equal(t, time.Date(2024, 5, 6, 0, 0, 0, 0, time.UTC), *e.PublishedAt)
	require.Len(t, e.Blocks, 4)
	require.Equal(t, knowledge.Position{Line: 6, Heading: "Opening range breakout"}, e.Blocks[0].Position)
	require.Equal(t, "The first thirty minutes set the range.\nA close above it is a long entry.", e.Blocks[1].Text)
	require.Equal(t, "Exits", e.Blocks[3].Position.Heading)
	require.Equal(t, 13, e.Blocks[3].Position.Line)
	require.Contains(t, e.Blocks[3].Text, "\n\n    strategy.close_all()", "code keeps its empty lines")
	require.Equal(t, knowledge.BreakSection, e.Blocks[2].Break)
}

func TestPlainTextHasNoHeadings(t *testing.T) {
	t.Parallel()
	e, err := extract.Text([]byte("# not a heading\r\n\r\nsecond"), "notes.txt")
	require.NoError(t, err)
	require.Equal(t, "notes", e.Title)
	require.Empty(t, e.Blocks[0].Position.Heading)
	require.Equal(t, 3, e.Blocks[1].Position.Line)

	e, err = extract.Text([]byte("Buy the dip.\nOr not."), "")
	require.NoError(t, err)
	require.Equal(t, "Buy the dip.", e.Title)
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ data, want string }{
		"UTF-8 with a byte order mark": {"\xEF\xBB\xBFcafé", "café"},
		"UTF-16":                       {"\xFF\xFEc\x00a\x00f\x00\xE9\x00", "café"},
		"Windows-1252":                 {"caf\xE9 \x93quoted\x94", "café “quoted”"},
		"damaged UTF-8":                {"ééééé caf\xC3 é", "ééééé caf\uFFFD é"},
		"control":                      {"a\x1b[31mred\x07 text that is long enough to be one, and then some more of it, so that it is", ""},
	} {
		e, err := extract.Text([]byte(test.data), "")
		require.NoError(t, err, name)
		if test.want != "" {
			require.Equal(t, test.want, e.Blocks[0].Text, name)
		}
		require.NotContains(t, e.Blocks[0].Text, "\x1b", name)
	}
	for _, data := range []string{"MZ\x00\x01", strings.Repeat("\x01\x02\xff", 100)} {
		_, err := extract.Text([]byte(data), "")
		rejected(t, err, "not text")
	}
	for _, data := range []string{"", " \n\n ", "\xEF\xBB\xBF"} {
		_, err := extract.Text([]byte(data), "x.txt")
		rejected(t, err, "empty")
	}
}
