package extract_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/knowledge/extract"
)

func TestCanonicalURL(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"HTTPS://Example.COM:443/a?utm_source=x&b=2&a=1#part": "https://example.com/a?a=1&b=2",
		"http://example.com:80":                               "http://example.com/",
		"http://example.com:8080/x?":                          "http://example.com:8080/x",
		"https://example.com/Case/Matters":                    "https://example.com/Case/Matters",
		"https://youtu.be/dQw4w9WgXcQ?t=10":                   "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
		"https://m.youtube.com/watch?v=dQw4w9WgXcQ&list=x":    "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
		"https://www.youtube.com/shorts/dQw4w9WgXcQ":          "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
		"https://www.youtube.com/watch?v=short":               "https://www.youtube.com/watch?v=short",
		"https://youtube.com.evil.test/watch?v=dQw4w9WgXcQ":   "https://youtube.com.evil.test/watch?v=dQw4w9WgXcQ",
	} {
		got := extract.CanonicalURL(address)
		require.Equal(t, want, got)
		require.Equal(t, got, extract.CanonicalURL(got), "it is its own canonical form")
	}
	require.Equal(t, "paper.pdf", extract.NameOf("https://example.com/a/paper.pdf?x=1"))
	require.Empty(t, extract.NameOf("https://example.com/"))
}

const watchPage = `<html><script>var ytInitialPlayerResponse = {"captions":{"playerCaptionsTracklistRenderer":{"captionTracks":[
{"baseUrl":"https://www.youtube.com/api/timedtext?v=dQw4w9WgXcQ\u0026lang=de","languageCode":"de","name":{"simpleText":"German"}},
{"baseUrl":"https://www.youtube.com/api/timedtext?v=dQw4w9WgXcQ\u0026lang=en\u0026kind=asr","languageCode":"en","kind":"asr"},
{"baseUrl":"https://www.youtube.com/api/timedtext?v=dQw4w9WgXcQ\u0026lang=en-GB","languageCode":"en-GB"}],"audioTracks":[]}},
"videoDetails":{"videoId":"dQw4w9WgXcQ","title":"Momentum \"explained\"","lengthSeconds":"212","author":"A Channel","isLive":false}};</script></html>`

func TestVideoPage(t *testing.T) {
	t.Parallel()
	video, err := extract.VideoPage([]byte(watchPage))
	require.NoError(t, err)
	require.Equal(t, `Momentum "explained"`, video.Title)
	require.Equal(t, "A Channel", video.Channel)
	require.Equal(t, 212, video.Seconds)
	require.Equal(t, "https://www.youtube.com/api/timedtext?fmt=json3&lang=en-GB&v=dQw4w9WgXcQ", video.Pick("en").Address)
	require.Equal(t, "de", video.Pick("de").Language)
	require.False(t, video.Pick("fr").Generated)
	require.Nil(t, extract.Video{}.Pick("en"))
	for _, page := range []string{"", "<html>consent</html>", `"videoDetails":7`, `"videoDetails":{"title":"cut`} {
		_, err := extract.VideoPage([]byte(page))
		rejected(t, err, "no video")
	}
}

func TestBarsInWords(t *testing.T) {
	t.Parallel()
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	e := extract.Bars("sp500", "SPX", "1d", bars)
	require.Equal(t, "sp500 (SPX, 1d bars)", e.Title)
	require.Equal(t, bars.Len(), e.Metadata["bars"])
	require.Contains(t, e.Blocks[0].Text, "maximum drawdown")
	require.Contains(t, e.Blocks[1].Text, "SPX in ")
	counted := 0
	for _, block := range e.Blocks[1:] {
		require.Equal(t, "Returns by year", block.Position.Heading)
		counted++
	}
	first, last := time.UnixMicro(bars.Time[0]).UTC().Year(), time.UnixMicro(bars.Time[bars.Len()-1]).UTC().Year()
	require.Equal(t, last-first+1, counted)
}
