package main

import (
	"fmt"
	"strings"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// parseParams reads NAME=RANGE texts into a param_space.
func parseParams(texts []string) (map[string]types.ParamRange, error) {
	space := map[string]types.ParamRange{}
	for _, text := range texts {
		name, spec, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, configError{fmt.Errorf("--param %q: want NAME=LOW:HIGH:STEP, NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C", text)}
		}
		if _, twice := space[name]; twice {
			return nil, configError{fmt.Errorf("--param %s is given twice", name)}
		}
		r, err := sweep.ParseRange(spec)
		if err != nil {
			return nil, configError{fmt.Errorf("--param %q: %w", text, err)}
		}
		space[name] = types.ParamRange{
			Values: r.Values, Labels: r.Labels, RangeObject: types.RangeObject{Low: r.Low, High: r.High, Step: r.Step, Log: r.Log, Type: r.Type},
		}
	}
	return space, nil
}
