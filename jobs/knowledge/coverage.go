package knowledge

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// StrongMatch is the score from which a match is a strong one.
const StrongMatch = 0.5

// The codes of why a match is weak.
const (
	NoMatches       = "NO_MATCHES"
	NoStrongMatches = "NO_STRONG_MATCHES"
)

// Coverage is how well a workspace's knowledge covers one intent.
type Coverage struct {
	Weak     bool
	Codes    []string
	Priority float64 // less YoungBonus
}

// YoungBonus is added to the priority of a gap while it is younger than YoungFor.
const (
	YoungBonus = 0.05
	YoungFor   = 24 * time.Hour
)

// Cover judges matches by their number and their best score, from 0 to 1. A gap's priority is
// clamp(0.5 − best, 0, 0.5), and 0.2 when no match is strong, and 0.15 when there is none at all or
// 0.1 when there are but weak ones.
func Cover(matches int, best float64) Coverage {
	if matches > 0 && best >= StrongMatch {
		return Coverage{Codes: []string{}}
	}
	c := Coverage{Weak: true, Priority: min(max(0.5-best, 0), 0.5) + 0.2}
	if matches == 0 {
		c.Codes, c.Priority = []string{NoMatches}, c.Priority+0.15
	} else {
		c.Codes, c.Priority = []string{NoStrongMatches}, c.Priority+0.1
	}
	return c
}

// Intent is what a request asks for, in a form that the same request has again.
type Intent struct {
	Kind  string   // recommend or query
	Parts []string // in any order
}

// Signature names the intent: equal for equal ones only.
func (i Intent) Signature() [32]byte {
	parts := slices.Clone(i.Parts)
	slices.Sort(parts)
	h := sha256.New()
	for _, part := range append([]string{i.Kind}, slices.Compact(parts)...) {
		// With its length before it, no part can pass for two.
		_, _ = h.Write([]byte(strconv.Itoa(len(part)) + ":" + part)) // a hash never fails
	}
	return [32]byte(h.Sum(nil))
}

// QueryIntent is that of a question: its words, however they are inflected and ordered, and what it
// was narrowed to.
func QueryIntent(q Question) Intent {
	parts := slices.Collect(maps.Keys(newWordSet(q.Text)))
	for _, source := range q.Filter.SourceTypes {
		parts = append(parts, "source="+string(source))
	}
	for _, document := range q.Filter.Documents {
		parts = append(parts, "document="+document.String())
	}
	return Intent{Kind: intentQuery, Parts: parts}
}

// RecommendIntent is that of a request for parameters: the strategy, the kind of market and the
// terms. The market's figures are never the same twice; its tags are.
func RecommendIntent(strategy string, tags []string, terms Terms) Intent {
	number := func(name string, value float64) string { return name + "=" + strconv.FormatFloat(value, 'g', -1, 64) }
	parts := []string{
		"strategy=" + strategy, "tags=" + strings.Join(slices.Sorted(slices.Values(tags)), ","), "timeframe=" + terms.Timeframe,
	}
	for _, axis := range Axes() {
		if axis != AxisTimeframe {
			limit, _, _ := terms.limit(axis, Candidate{})
			parts = append(parts, number(string(axis), limit))
		}
	}
	return Intent{Kind: intentRecommend, Parts: parts}
}

const (
	intentQuery     = "query"
	intentRecommend = "recommend"
)

// IntentKinds are the kinds of an Intent: the request that it is of.
func IntentKinds() []string { return []string{intentRecommend, intentQuery} }
