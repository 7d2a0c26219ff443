package extract

import (
	"encoding/json"
	"html"
	"math"
	"regexp"
	"strconv"
	"strings"

	"millrace/jobs/knowledge"
)

// cue is what is said from one second to another.
type cue struct {
	start, end float64
	text       string
}

// pauseSeconds of silence begin a new paragraph.
const pauseSeconds = 2

// Transcript reads subtitles: WebVTT, SubRip, or YouTube's json3. name is that of the file, and the
// title when there is no better one.
func Transcript(data []byte, name string) (*knowledge.Extracted, error) {
	text, err := decode(data)
	if err != nil {
		return nil, err
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	format, cues := "", []cue(nil)
	switch start := strings.TrimSpace(text[:min(len(text), 1<<10)]); {
	case strings.HasPrefix(start, "{"):
		format = "json3"
		if cues, err = json3Cues([]byte(text)); err != nil {
			return nil, err
		}
	case strings.HasPrefix(start, "WEBVTT"):
		format, cues = "vtt", timedCues(text)
	default:
		format, cues = "srt", timedCues(text)
	}
	e := &knowledge.Extracted{Title: titleOf(name, nil), Blocks: spoken(unrolled(cues))}
	if e.Tidy(); len(e.Blocks) == 0 {
		return nil, knowledge.Rejectf("there is no subtitle in it: send WebVTT, SubRip or YouTube's json3")
	}
	last := e.Blocks[len(e.Blocks)-1].Position
	e.Metadata["format"], e.Metadata["cues"] = format, len(e.Blocks)
	e.Metadata["duration_seconds"] = math.Round(*last.EndSeconds)
	return e, nil
}

func spoken(cues []cue) []knowledge.Block {
	var blocks []knowledge.Block
	for i, c := range cues {
		block := knowledge.Block{
			Text:     c.text,
			Position: knowledge.Position{StartSeconds: &c.start, EndSeconds: &c.end},
		}
		if i > 0 && c.start-cues[i-1].end >= pauseSeconds {
			block.Break = knowledge.BreakParagraph
		}
		blocks = append(blocks, block)
	}
	return blocks
}

var (
	// A timing line of WebVTT or SubRip; hours are optional in WebVTT.
	timing = regexp.MustCompile(`^\s*((?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{1,3})\s*-->\s*((?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{1,3})`)
	markup = regexp.MustCompile(`<[^<>]*>|\{\\[^{}]*\}`)
)

// timedCues reads WebVTT and SubRip alike: a cue is a timing line and the lines up to an empty one.
// Whatever else is there, as headers, numbers, notes and styles, has no timing line and is skipped.
func timedCues(text string) []cue {
	var cues []cue
	var said []string // by the cue that is open
	open := false
	end := func() {
		if open {
			cues[len(cues)-1].text = strings.Join(said, "\n")
		}
		open, said = false, nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if match := timing.FindStringSubmatch(line); match != nil {
			end()
			cues = append(cues, cue{start: seconds(match[1]), end: seconds(match[2])})
			open = true
			continue
		}
		if strings.TrimSpace(line) == "" {
			if len(said) > 0 {
				end()
			}
		} else if open {
			said = append(said, plain(line))
		}
	}
	end()
	return cues
}

// plain is a line of subtitle without its markup.
func plain(line string) string {
	return html.UnescapeString(markup.ReplaceAllString(line, ""))
}

// seconds reads h:mm:ss.mmm.
func seconds(text string) float64 {
	total := 0.0
	for part := range strings.SplitSeq(strings.ReplaceAll(text, ",", "."), ":") {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0
		}
		total = float64(total*60) + v
	}
	return total
}

// json3 is the part of YouTube's timed text that holds words.
type json3 struct {
	Events []struct {
		Start    float64 `json:"tStartMs"`
		Duration float64 `json:"dDurationMs"`
		Segments []struct {
			Text string `json:"utf8"`
		} `json:"segs"`
	} `json:"events"`
}

func json3Cues(data []byte) ([]cue, error) {
	var doc json3
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, knowledge.Rejectf("it begins as json3 but is not: %v", err)
	}
	var cues []cue
	for _, event := range doc.Events {
		var text strings.Builder
		for _, segment := range event.Segments {
			text.WriteString(segment.Text)
		}
		cues = append(cues, cue{event.Start / 1000, (event.Start + event.Duration) / 1000, text.String()})
	}
	return cues, nil
}

// unrolled puts cues in order and undoes rolling captions, where each repeats the line before.
func unrolled(cues []cue) []cue {
	var out []cue
	last := ""
	for _, c := range cues {
		if !(c.start >= 0 && c.start < 1e6) { // 11 days; NaN too
			continue
		}
		var fresh []string
		for line := range strings.SplitSeq(c.text, "\n") {
			line = strings.Join(strings.Fields(line), " ")
			if line == "" || line == last {
				continue
			}
			fresh = append(fresh, line)
			last = line
		}
		if len(fresh) == 0 {
			continue
		}
		c.text = strings.Join(fresh, " ")
		if len(out) > 0 {
			before := &out[len(out)-1]
			c.start = max(c.start, before.start)
			before.end = min(before.end, max(c.start, before.start))
		}
		c.end = max(c.start, min(c.end, c.start+3600))
		out = append(out, c)
	}
	return out
}
