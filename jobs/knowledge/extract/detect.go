package extract

import (
	"bytes"
	"path"
	"strings"

	"millrace/jobs/knowledge"
)

// Detect finds what kind of source data is, by its content first and by the file's name where the
// content leaves it open.
func Detect(data []byte, name string) knowledge.SourceType {
	head := data[:min(len(data), 64<<10)]
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte{0xEF, 0xBB, 0xBF}), " \t\r\n")
	ext := strings.ToLower(path.Ext(name))
	switch {
	case bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-")), ext == ".pdf":
		return knowledge.SourcePDF
	case bytes.HasPrefix(head, []byte("PAR1")), ext == ".parquet":
		return knowledge.SourceDataset
	case ext == ".vtt", ext == ".srt", ext == ".json3", bytes.HasPrefix(text, []byte("WEBVTT")),
		bytes.HasPrefix(text, []byte("{")) && bytes.Contains(head, []byte(`"tStartMs"`)):
		return knowledge.SourceYouTube
	case ext == ".md", ext == ".markdown", ext == ".txt":
		return textOrSubtitles(text)
	case ext == ".pine", LooksLikePine(text):
		return knowledge.SourcePine
	case ext == ".html", ext == ".htm", ext == ".xhtml", startsAsHTML(text):
		return knowledge.SourceArticle
	case hasBarColumns(text):
		return knowledge.SourceDataset
	}
	return textOrSubtitles(text)
}

// textOrSubtitles knows SubRip by its first cue.
func textOrSubtitles(text []byte) knowledge.SourceType {
	for i, line := range bytes.SplitN(text, []byte("\n"), 4) {
		if i < 3 && timing.Match(line) {
			return knowledge.SourceYouTube
		}
	}
	return knowledge.SourceText
}

// startsAsHTML is stricter than LooksLikeHTML: prose about HTML is not a page.
func startsAsHTML(text []byte) bool {
	head := bytes.ToLower(text[:min(len(text), 1024)])
	for bytes.HasPrefix(head, []byte("<!--")) || bytes.HasPrefix(head, []byte("<?xml")) {
		_, rest, ok := bytes.Cut(head, []byte(">"))
		if !ok {
			return false
		}
		head = bytes.TrimSpace(rest)
	}
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body", "<article", "<title", "<meta", "<div", "<p>"} {
		if bytes.HasPrefix(head, []byte(tag)) {
			return true
		}
	}
	return false
}

// hasBarColumns reports whether the first line names the columns of bars.
func hasBarColumns(text []byte) bool {
	line, _, ok := bytes.Cut(text, []byte("\n"))
	if !ok || len(line) > 4096 {
		return false
	}
	columns := map[string]bool{}
	for column := range strings.FieldsFuncSeq(strings.ToLower(string(line)), func(r rune) bool { return strings.ContainsRune(",;\t|\" \r", r) }) {
		columns[column] = true
	}
	return columns["open"] && columns["high"] && columns["low"] && columns["close"]
}
