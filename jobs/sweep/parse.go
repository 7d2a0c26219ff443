package sweep

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseRange reads the short form of a range: LOW:HIGH:STEP, LOW:HIGH, LOW:HIGH:log, A,B,C or true,false; a list of
// other words is one of labels.
func ParseRange(text string) (Range, error) {
	parts := strings.Split(text, ":")
	if len(parts) == 1 {
		return parseList(text)
	}
	if len(parts) > 3 {
		return Range{}, errors.New("want LOW:HIGH:STEP")
	}
	low, err := parseFinite(parts[0])
	if err != nil {
		return Range{}, err
	}
	high, err := parseFinite(parts[1])
	if err != nil {
		return Range{}, err
	}
	if high < low {
		return Range{}, fmt.Errorf("%v is below %v: want LOW:HIGH:STEP", high, low)
	}
	r := Range{Low: &low, High: &high}
	switch {
	case len(parts) == 2:
		return r, nil
	case strings.TrimSpace(parts[2]) == "log":
		r.Log = true
		return r, nil
	}
	step, err := parseFinite(parts[2])
	if err != nil {
		return Range{}, err
	}
	if step <= 0 {
		return Range{}, errors.New("the step must be above 0")
	}
	r.Step = &step
	return r, nil
}

func parseList(text string) (Range, error) {
	r := Range{Values: []float64{}}
	if labels := parseLabels(text); labels != nil {
		return truths(labels), nil
	}
	for entry := range strings.SplitSeq(text, ",") {
		v, err := parseFinite(entry)
		if err != nil {
			return Range{}, err
		}
		r.Values = append(r.Values, v)
	}
	return r, nil
}

// truths is the range of a list of labels, or of true and false.
func truths(labels []string) Range {
	r := Range{Labels: labels}
	for _, label := range labels {
		switch label {
		case "true":
			r.Values = append(r.Values, 1)
		case "false":
			r.Values = append(r.Values, 0)
		default:
			return Range{Labels: labels}
		}
	}
	r.Labels = nil
	return r
}

// parseLabels reads a list of names, of which each begins with a letter; nil when it is not one.
func parseLabels(text string) []string {
	var labels []string
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		first, _ := utf8.DecodeRuneInString(entry)
		if _, err := parseFinite(entry); err == nil || !unicode.IsLetter(first) || len(entry) == 1 {
			return nil
		}
		labels = append(labels, entry)
	}
	return labels
}

func parseFinite(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

// String is the form that ParseRange reads.
func (r Range) String() string {
	if r.Labels != nil {
		return strings.Join(r.Labels, ",")
	}
	if r.Values != nil {
		texts := make([]string, len(r.Values))
		for i, v := range r.Values {
			texts[i] = strconv.FormatFloat(v, 'g', -1, 64)
		}
		return strings.Join(texts, ",")
	}
	if r.Low == nil || r.High == nil {
		return ""
	}
	text := strconv.FormatFloat(*r.Low, 'g', -1, 64) + ":" + strconv.FormatFloat(*r.High, 'g', -1, 64)
	switch {
	case r.Log:
		return text + ":log"
	case r.Step != nil:
		return text + ":" + strconv.FormatFloat(*r.Step, 'g', -1, 64)
	}
	return text
}
