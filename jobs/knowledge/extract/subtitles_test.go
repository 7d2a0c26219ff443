package extract_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge/extract"
)

const vtt = `WEBVTT - made by hand
Kind: captions

NOTE a comment
over two lines

STYLE
::cue { color: red }

1
00:01.000 --> 00:04.500 align:start position:0%
<v Ann>Momentum &amp; <i>mean reversion</i>

00:00:04.500 --> 00:00:07.000
are two sides
of one market.

01:02:03.000 --> 01:02:05.000
Much later.
`

const srt = "1\r\n00:00:01,000 --> 00:00:04,500\r\n{\\an8}<b>Momentum</b> first,\r\n\r\n2\r\n00:00:04,500 --> 00:00:07,000\r\nthen reversion.\r\n"

const rolling = `WEBVTT

00:00:00.000 --> 00:00:02.000
hello and welcome

00:00:02.000 --> 00:00:02.010
hello and welcome

00:00:02.010 --> 00:00:04.000
hello and welcome
to<00:00:02.500><c> the show</c>

00:00:04.000 --> 00:00:04.010
to the show
`

const timedText = `{"wireMagic":"pb3","events":[{"tStartMs":0,"dDurationMs":5000,"id":1},
{"tStartMs":1000,"dDurationMs":3000,"segs":[{"utf8":"hello"},{"utf8":" and"},{"utf8":" welcome","tOffsetMs":400}]},
{"tStartMs":2500,"dDurationMs":1500,"aAppend":1,"segs":[{"utf8":"\n"}]},
{"tStartMs":2600,"dDurationMs":3000,"segs":[{"utf8":"to the show"}]}]}`

func TestTranscripts(t *testing.T) {
	t.Parallel()
	type at struct {
		from, to float64
		text     string
	}
	for name, test := range map[string]struct {
		data, format string
		want         []at
	}{
		"vtt": {vtt, "vtt", []at{
			{1, 4.5, "Momentum & mean reversion"}, {4.5, 7, "are two sides of one market."}, {3723, 3725, "Much later."},
		}},
		"srt":     {srt, "srt", []at{{1, 4.5, "Momentum first,"}, {4.5, 7, "then reversion."}}},
		"rolling": {rolling, "vtt", []at{{0, 2, "hello and welcome"}, {2.01, 4, "to the show"}}},
		"json3":   {timedText, "json3", []at{{1, 2.6, "hello and welcome"}, {2.6, 5.6, "to the show"}}},
	} {
		e, err := extract.Transcript([]byte(test.data), "talk.vtt")
		require.NoError(t, err, name)
		require.Equal(t, "talk", e.Title)
		require.Equal(t, test.format, e.Metadata["format"], name)
		var got []at
		for _, b := range e.Blocks {
			got = append(got, at{*b.Position.StartSeconds, *b.Position.EndSeconds, b.Text})
		}
		require.Equal(t, test.want, got, name)
	}
}

func TestInvalidTranscriptsAreRejected(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "WEBVTT\n\n", "just text", `{"events":[]}`, "1\n00:00:01,000 --> 00:00:02,000\n\n"} {
		_, err := extract.Transcript([]byte(data), "x.srt")
		rejected(t, err, "no subtitle")
	}
	_, err := extract.Transcript([]byte(`{"events":[`), "x.json3")
	rejected(t, err, "json3")
	_, err = extract.Transcript([]byte("WEBVTT\x00"), "x.vtt")
	rejected(t, err, "not text")
}
