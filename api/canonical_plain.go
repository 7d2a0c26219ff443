package api

import (
	"bytes"
	"slices"
)

// plainForm is the canonical form of a body whose texts are of plain ASCII without escapes, as those of most requests are. It takes one
// pass, where canonical's takes three. It is not ok for any other body, nor for one that is not JSON or has a name twice:
// canonical says what is wrong.
func plainForm(body []byte) (form []byte, ok bool) {
	p := plainJSON{in: body, out: make([]byte, 0, len(body))}
	ok = p.value(0) && len(p.rest()) == 0
	return p.out, ok
}

type plainJSON struct {
	in, out []byte
}

// rest is what comes after white space.
func (p *plainJSON) rest() []byte {
	for len(p.in) > 0 && (p.in[0] == ' ' || p.in[0] == '\n' || p.in[0] == '\t' || p.in[0] == '\r') {
		p.in = p.in[1:]
	}
	return p.in
}

// take passes a byte, and writes it.
func (p *plainJSON) take(b byte) bool {
	if rest := p.rest(); len(rest) == 0 || rest[0] != b {
		return false
	}
	p.in, p.out = p.in[1:], append(p.out, b)
	return true
}

func (p *plainJSON) value(depth int) bool {
	rest := p.rest()
	if len(rest) == 0 || depth > maxDepth {
		return false
	}
	switch rest[0] {
	case '{':
		return p.object(depth + 1)
	case '[':
		return p.array(depth + 1)
	case '"':
		_, ok := p.text()
		return ok
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(rest, []byte(word)) {
			p.in, p.out = rest[len(word):], append(p.out, word...)
			return true
		}
	}
	return p.number()
}

// text passes a text, and returns what is between its quotes.
func (p *plainJSON) text() (text []byte, ok bool) {
	rest := p.rest()
	if len(rest) == 0 || rest[0] != '"' {
		return nil, false
	}
	for i, b := range rest[1:] {
		switch {
		case b == '"':
			p.in, p.out = rest[i+2:], append(p.out, rest[:i+2]...)
			return rest[1 : i+1], true
		case b < ' ' || b > '~' || b == '\\':
			return nil, false
		}
	}
	return nil, false
}

// number passes a number of JSON's grammar.
func (p *plainJSON) number() bool {
	at := 0
	digits := func() bool {
		from := at
		for at < len(p.in) && p.in[at] >= '0' && p.in[at] <= '9' {
			at++
		}
		return at > from
	}
	next := func(any string) bool {
		if at < len(p.in) && bytes.IndexByte([]byte(any), p.in[at]) >= 0 {
			at++
			return true
		}
		return false
	}
	next("-")
	if !next("0") && !digits() || next(".") && !digits() {
		return false
	}
	if next("eE") {
		next("+-")
		if !digits() {
			return false
		}
	}
	exact, ok := exactNumber(string(p.in[:at]))
	p.in, p.out = p.in[at:], append(p.out, exact...)
	return ok
}

func (p *plainJSON) array(depth int) bool {
	p.take('[')
	if depth > maxDepth || p.take(']') {
		return depth <= maxDepth
	}
	for {
		if !p.value(depth) {
			return false
		}
		if p.take(']') {
			return true
		}
		if !p.take(',') {
			return false
		}
	}
}

// plainMember is one of an object, where it is written.
type plainMember struct {
	name     []byte
	from, to int
}

func (p *plainJSON) object(depth int) bool {
	p.take('{')
	if depth > maxDepth || p.take('}') {
		return depth <= maxDepth
	}
	var few [16]plainMember
	members, start := few[:0], len(p.out)
	for {
		from := len(p.out)
		name, ok := p.text()
		if !ok || !p.take(':') || !p.value(depth) {
			return false
		}
		members = append(members, plainMember{name, from, len(p.out)})
		if p.take('}') {
			return p.sort(members, start)
		}
		if !p.take(',') {
			return false
		}
	}
}

// sort puts the members of the object that was just written in order of their names. It is not ok where two have one.
func (p *plainJSON) sort(members []plainMember, start int) bool {
	byName := func(a, b plainMember) int { return bytes.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(members, byName) {
		slices.SortFunc(members, byName)
		written := bytes.Clone(p.out[start:]) // and not what is before it: a body may have many objects
		p.out = p.out[:start]
		for i, m := range members {
			if i > 0 {
				p.out = append(p.out, ',')
			}
			p.out = append(p.out, written[m.from-start:m.to-start]...)
		}
		p.out = append(p.out, '}')
	}
	for i := range members[1:] {
		if bytes.Equal(members[i].name, members[i+1].name) {
			return false
		}
	}
	return true
}
