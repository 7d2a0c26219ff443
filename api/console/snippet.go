package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// runBody is the request that runs a trial's parameters on all bars of a dataset at once.
func runBody(t *StoredTune, dataset string, params map[string]float64) (map[string]any, error) {
	spec := t.Spec
	body := map[string]any{"dataset": dataset, "strategy_name": spec.StrategyName, "params": params, "side": spec.Side, "intrabar_policy": spec.IntrabarPolicy}
	account, err := membersOf(spec.Account)
	if err != nil {
		return nil, err
	}
	if len(account) > 0 {
		body["account"] = account
	}
	if spec.Stops != nil {
		if body["stops"], err = membersOf(spec.Stops); err != nil {
			return nil, err
		}
	}
	if spec.Seed != nil {
		body["seed"] = *spec.Seed
	}
	if spec.IntrabarDataset != "" {
		body["intrabar_dataset"] = spec.IntrabarDataset
	}
	return body, nil
}

// membersOf are the members of a value's JSON that are not null.
func membersOf(v any) (map[string]any, error) {
	var members map[string]any
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &members)
	}
	if err != nil {
		return nil, fmt.Errorf("read the request of a trial: %w", err)
	}
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	return members, nil
}

// snippets are a request of /backtests/run as commands to copy. They take address and key from the
// environment: a key is never in a page.
func snippets(body map[string]any) (curl, python string, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return "", "", fmt.Errorf("encode the request of a trial: %w", err)
	}
	curl = "curl -H \"Authorization: Bearer $MILLRACE_API_KEY\" -H 'Content-Type: application/json' \\\n  -d '" +
		strings.ReplaceAll(string(raw), "'", `'\''`) + "' \\\n  \"$MILLRACE_URL/backtests/run\""
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", "", fmt.Errorf("encode the request of a trial: %w", err)
	}
	python = `import json, os, urllib.request

body = ` + pythonLiteral(value, "") + `
request = urllib.request.Request(
    os.environ["MILLRACE_URL"] + "/backtests/run", json.dumps(body).encode(),
    {"Authorization": "Bearer " + os.environ["MILLRACE_API_KEY"], "Content-Type": "application/json"})
with urllib.request.urlopen(request) as answer:
    run = json.load(answer)
print(run["run_id"], run["metrics"]["sharpe"], run["metrics"]["return_pct"])`
	return curl, python, nil
}

// pythonLiteral writes a value of JSON as Python does.
func pythonLiteral(v any, indent string) string {
	inner := indent + "    "
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case map[string]any:
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, inner+pythonLiteral(name, "")+": "+pythonLiteral(v[name], inner)+",\n")
		}
		return "{\n" + strings.Join(lines, "") + indent + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = pythonLiteral(item, inner)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	raw, err := json.Marshal(v) // of a text: Python reads JSON's escapes alike
	if err != nil {
		return `""`
	}
	return string(raw)
}
