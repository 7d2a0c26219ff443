package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"
)

// SSEEvent is one event of a text/event-stream.
type SSEEvent struct {
	ID   string // the last id the stream gave, at or before this event
	Type string // "message" when the stream names none
	Data []byte
}

// SSEReader parses the text/event-stream format (WHATWG HTML, server-sent events).
type SSEReader struct {
	in    *bufio.Reader
	first bool
	cr    bool // the last line ended in a carriage return: a line feed next belongs to it

	LastID string        // survives from event to event
	Retry  time.Duration // the server's wish for the wait before a reconnect; 0 when it has none
}

// maxEvent bounds one line and one event's data, in bytes.
const maxEvent = 1 << 20

func NewSSEReader(r io.Reader) *SSEReader {
	return &SSEReader{in: bufio.NewReader(r), first: true}
}

// Next returns the next event. An event that the stream's end cuts short is dropped, as the format
// says; the end itself is io.EOF. beat, when not nil, is called for each line that arrives,
// comments too.
func (r *SSEReader) Next(beat func()) (SSEEvent, error) {
	var e SSEEvent
	var data []byte
	got := false
	for {
		line, err := r.line()
		if err != nil {
			return SSEEvent{}, err
		}
		if beat != nil {
			beat()
		}
		if len(line) == 0 {
			if got {
				e.ID, e.Data = r.LastID, bytes.TrimSuffix(data, []byte("\n"))
				if e.Type == "" {
					e.Type = "message"
				}
				return e, nil
			}
			e = SSEEvent{}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.Type = string(value)
		case "data":
			if len(data)+len(value) > maxEvent {
				return SSEEvent{}, fmt.Errorf("an event is over %d bytes", maxEvent)
			}
			data, got = append(append(data, value...), '\n'), true
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				r.LastID = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				r.Retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

// line reads up to a line feed, a carriage return or both. An unended last line is not a line.
func (r *SSEReader) line() ([]byte, error) {
	var line []byte
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return nil, err
		}
		if c == '\n' && r.cr {
			r.cr = false
			continue
		}
		r.cr = c == '\r'
		if c == '\n' || c == '\r' {
			if r.first {
				r.first = false
				line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
			}
			return line, nil
		}
		if len(line) == maxEvent {
			return nil, fmt.Errorf("a line is over %d bytes", maxEvent)
		}
		line = append(line, c)
	}
}
