package extract

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"millrace/jobs/knowledge"
)

// Video is what a video's page says about it.
type Video struct {
	Title    string
	Channel  string
	Seconds  int
	Captions []Caption
}

// Caption is one language's subtitles of a video.
type Caption struct {
	Address   string // of the timed text, as json3
	Language  string
	Generated bool // by speech recognition
}

// VideoPage reads the page of a YouTube video, which holds the player's settings as JSON.
func VideoPage(page []byte) (Video, error) {
	var details struct {
		Title, Author, LengthSeconds string
	}
	var tracks []struct {
		BaseURL      string `json:"baseUrl"`
		LanguageCode string `json:"languageCode"`
		Kind         string `json:"kind"`
	}
	if !member(page, "videoDetails", &details) {
		return Video{}, knowledge.Rejectf("YouTube shows no video there: it may be private, removed, or behind a consent page")
	}
	member(page, "captionTracks", &tracks) // none: no captions
	video := Video{Title: details.Title, Channel: details.Author}
	video.Seconds, _ = strconv.Atoi(details.LengthSeconds)
	for _, track := range tracks {
		u, err := url.Parse(track.BaseURL)
		if err != nil || track.BaseURL == "" {
			continue
		}
		query := u.Query()
		query.Set("fmt", "json3")
		u.RawQuery = query.Encode()
		video.Captions = append(video.Captions, Caption{u.String(), track.LanguageCode, track.Kind == "asr"})
	}
	return video, nil
}

// member decodes the first JSON member of that name into v.
func member(page []byte, name string, v any) bool {
	_, rest, ok := bytes.Cut(page, []byte(`"`+name+`":`))
	if !ok {
		return false
	}
	// The decoder reads one value and leaves the rest of the page.
	return json.NewDecoder(bytes.NewReader(rest)).Decode(v) == nil
}

// Pick chooses the captions in a language: those people wrote before those that were recognised, and
// any language before none. It is nil when there are none at all.
func (v Video) Pick(language string) *Caption {
	var best *Caption
	score := func(c *Caption) int {
		total := 0
		if base, _, _ := strings.Cut(c.Language, "-"); strings.EqualFold(base, language) || strings.EqualFold(c.Language, language) {
			total += 2
		}
		if !c.Generated {
			total++
		}
		return total
	}
	for i := range v.Captions {
		if c := &v.Captions[i]; best == nil || score(c) > score(best) {
			best = c
		}
	}
	return best
}
