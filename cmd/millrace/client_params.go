package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// paramRange is a parameter's entry in a param_space: a list of values, or a range.
type paramRange any

// rangeSpec is a range of values, both ends included.
type rangeSpec struct {
	Low  float64  `json:"low"`
	High float64  `json:"high"`
	Step *float64 `json:"step,omitempty"`
	Log  bool     `json:"log,omitempty"`
}

// parseParams reads NAME=SPEC texts into a param_space.
func parseParams(texts []string) (map[string]paramRange, error) {
	space := map[string]paramRange{}
	for _, text := range texts {
		name, spec, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, configError{fmt.Errorf("--param %q: want NAME=LOW:HIGH:STEP, NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C", text)}
		}
		if _, twice := space[name]; twice {
			return nil, configError{fmt.Errorf("--param %s is given twice", name)}
		}
		r, err := parseRange(spec)
		if err != nil {
			return nil, configError{fmt.Errorf("--param %q: %w", text, err)}
		}
		space[name] = r
	}
	return space, nil
}

// parseRange reads LOW:HIGH:STEP, LOW:HIGH:log, LOW:HIGH or A,B,C.
func parseRange(spec string) (paramRange, error) {
	parts := strings.Split(spec, ":")
	if len(parts) == 1 {
		return parseList(spec)
	}
	if len(parts) > 3 {
		return nil, errors.New("want LOW:HIGH:STEP")
	}
	low, err := parseFinite(parts[0])
	if err != nil {
		return nil, err
	}
	high, err := parseFinite(parts[1])
	if err != nil {
		return nil, err
	}
	if high < low {
		return nil, fmt.Errorf("%v is below %v: want LOW:HIGH:STEP", high, low)
	}
	r := rangeSpec{Low: low, High: high}
	if len(parts) == 2 {
		return r, nil
	}
	if strings.TrimSpace(parts[2]) == "log" {
		r.Log = true
		return r, nil
	}
	step, err := parseFinite(parts[2])
	if err != nil {
		return nil, err
	}
	if step <= 0 {
		return nil, errors.New("the step must be above 0")
	}
	r.Step = &step
	return r, nil
}

func parseList(spec string) (paramRange, error) {
	var values []float64
	for text := range strings.SplitSeq(spec, ",") {
		v, err := parseFinite(text)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func parseFinite(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}
