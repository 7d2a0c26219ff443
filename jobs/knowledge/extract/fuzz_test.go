package extract_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
)

// sound asserts what holds of every extractor for any input: a rejection with a reason, or
// text that can be stored and whose positions make sense.
func sound(t *testing.T, e *knowledge.Extracted, err error) {
	t.Helper()
	if err != nil {
		var rejection *knowledge.Rejection
		require.True(t, errors.As(err, &rejection), "%v", err)
		require.NotEmpty(t, rejection.Reason)
		return
	}
	require.NotEmpty(t, e.Blocks)
	storable(t, e.Title)
	require.NotContains(t, e.Title, "\n")
	_, err = e.Sum("1")
	require.NoError(t, err)
	for _, block := range e.Blocks {
		storable(t, block.Text)
		require.NotEmpty(t, strings.TrimSpace(block.Text))
		if at := block.Position; at.StartSeconds != nil {
			require.GreaterOrEqual(t, *at.StartSeconds, 0.0)
			require.GreaterOrEqual(t, *at.EndSeconds, *at.StartSeconds)
		}
	}
}

func storable(t *testing.T, text string) {
	t.Helper()
	require.True(t, utf8.ValidString(text))
	require.NotContains(t, text, "\x00")
}

func FuzzText(f *testing.F) {
	f.Add([]byte(note), "x.md")
	f.Add([]byte("a\r\n\r\nb\xff"), "x.txt")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		e, err := extract.Text(data, name)
		sound(t, e, err)
		extract.Detect(data, name)
	})
}

func FuzzTranscript(f *testing.F) {
	for _, seed := range []string{vtt, srt, rolling, timedText} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := extract.Transcript(data, "x.vtt")
		sound(t, e, err)
		if err != nil {
			return
		}
		last := 0.0
		for _, block := range e.Blocks {
			require.GreaterOrEqual(t, *block.Position.StartSeconds, last)
			last = *block.Position.StartSeconds
		}
	})
}

func FuzzPine(f *testing.F) {
	f.Add([]byte(script))
	f.Add([]byte("//@version=5\nlibrary('x')\nexport f(x) => security(x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := extract.Pine(data, "x.pine", front(extract.PineFacts{}))
		sound(t, e, err)
		if err != nil {
			return
		}
		lines := strings.Count(knowledge.Clean(string(data)), "\n") + 1
		for _, finding := range e.Metadata["lint"].([]extract.PineFinding) {
			require.True(t, finding.Line >= 0 && finding.Line <= lines)
		}
	})
}

func FuzzArticle(f *testing.F) {
	f.Add([]byte(page), "text/html; charset=utf-8")
	f.Add([]byte("<p>x<table><tr><td>y<pre>z"), "text/html; charset=utf-16")
	f.Fuzz(func(t *testing.T, data []byte, contentType string) {
		e, err := extract.Article(data, contentType, "https://example.com/a")
		sound(t, e, err)
	})
}

func FuzzPages(f *testing.F) {
	f.Add("Head 1\r\nline one of a para\x02\r\ngraph.\r\n\fHead 2\r\n• item\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := extract.Pages(extract.PDF{Pages: strings.Split(text, "\f")}, "x.pdf")
		sound(t, e, err)
	})
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"http://example.com/", "HTTP://0x7f.1/?b=1&a", "http://[::1]:80/", "http://1.2.3.4.", "http://.../", "https://youtu.be/dQw4w9WgXcQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.Parse(address)
		if err != nil || extract.CheckAddress(u) != nil {
			return
		}
		known := extract.CanonicalURL(address)
		require.Equal(t, known, extract.CanonicalURL(known))
		again, err := url.Parse(known)
		require.NoError(t, err)
		require.Nil(t, again.User)
	})
}

func FuzzVideoPage(f *testing.F) {
	f.Add([]byte(watchPage), "en")
	f.Fuzz(func(t *testing.T, page []byte, language string) {
		if video, err := extract.VideoPage(page); err == nil {
			video.Pick(language)
		}
	})
}
