package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// figures are what a benchmark measured, a value a round, in the order of the first round.
type figures struct {
	all  []*measured
	note []string // what could not be measured
}

type measured struct {
	name, unit string
	ratio      bool // of two figures of one round: more is better
	values     []float64
}

func (f *figures) add(name, unit string, value float64) { f.named(name, unit).add(value) }

// ratio is of what was measured in one round, which other work on the machine met alike.
func (f *figures) ratio(name string, value float64) {
	ratio := f.named(name, "")
	ratio.ratio = true
	ratio.add(value)
}

func (f *measured) add(value float64) { f.values = append(f.values, value) }

func (f *figures) named(name, unit string) *measured {
	for _, known := range f.all {
		if known.name == name {
			return known
		}
	}
	added := &measured{name: name, unit: unit}
	f.all = append(f.all, added)
	return added
}

// missing says once that something was not measured, and why.
func (f *figures) missing(note string) {
	if !slices.Contains(f.note, note) {
		f.note = append(f.note, note)
	}
}

func (f *measured) median() float64 {
	sorted := slices.Sorted(slices.Values(f.values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (f *figures) print(w io.Writer) error {
	for _, ratios := range []bool{false, true} {
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		if ratios {
			fmt.Fprintln(tw, "\nratio, of figures of one round\tmedian\tfrom\tto\t")
		} else {
			fmt.Fprintln(tw, "figure\tmedian\tfrom\tto\tunit\t")
		}
		for _, f := range f.all {
			if f.ratio != ratios {
				continue
			}
			fmt.Fprintf(tw, "%s\t%.2f\t%.2f\t%.2f\t", f.name, f.median(), slices.Min(f.values), slices.Max(f.values))
			if !ratios {
				fmt.Fprintf(tw, "%s\t", f.unit)
			}
			fmt.Fprintln(tw)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	for _, note := range f.note {
		fmt.Fprintln(w, note)
	}
	return nil
}

// leastRatio is what a ratio was where the file was written, and the least that it may be.
type leastRatio struct {
	Was   float64 `json:"was"`
	Least float64 `json:"least"`
}

// readLeast reads the file of --against; without one nothing is held.
func readLeast(file string) (map[string]leastRatio, error) {
	if file == "" {
		return nil, nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, configError{fmt.Errorf("--against: %w", err)}
	}
	var least map[string]leastRatio
	if err := json.Unmarshal(body, &least); err != nil {
		return nil, configError{fmt.Errorf("--against: %s: %w", file, err)}
	}
	return least, nil
}

// hold is an error that names each ratio whose median is below its least, or that was not measured.
func (f *figures) hold(least map[string]leastRatio) error {
	var below []error
	for name, limit := range least {
		at := slices.IndexFunc(f.all, func(f *measured) bool { return f.ratio && f.name == name })
		switch {
		case at < 0:
			below = append(below, fmt.Errorf("ratio %q was not measured", name))
		case f.all[at].median() < limit.Least:
			below = append(below, fmt.Errorf("ratio %q is %.2f, below the least of %.2f (it was %.2f)", name, f.all[at].median(), limit.Least, limit.Was))
		}
	}
	slices.SortFunc(below, func(a, b error) int {
		if a.Error() < b.Error() {
			return -1
		}
		return 1
	})
	return errors.Join(below...)
}
