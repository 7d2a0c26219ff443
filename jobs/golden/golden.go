// Package golden holds what computing gives to hashes kept beside the tests, for tests only: a result
// that changes without the number of its engine raised fails a test that names what changed.
package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// WriteEnv is the variable that has Check write the file where the stamp was raised.
const WriteEnv = "MILLRACE_WRITE_GOLDEN"

// file is a file of hashes, all made under one stamp.
type file struct {
	Stamp  string            `json:"stamp"`
	Hashes map[string]string `json:"hashes"` // by name of what was computed
}

// Sum is the hash of what a computation gave, as JSON.
func Sum(results any) (string, error) {
	body, err := json.Marshal(results)
	if err != nil {
		return "", fmt.Errorf("encode results: %w", err)
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8]), nil
}

// Check compares hashes with those kept in the file at path, and says which differ and which number to
// raise (such as "backtest.Engine"). With write, the file is written: only when the stamp has been raised,
// or when nothing that was there has changed.
func Check(path, stamp, number string, hashes map[string]string, write bool) error {
	kept, err := read(path)
	if err != nil {
		return err
	}
	changed := kept.changed(hashes)
	raised := kept.Stamp != stamp
	switch {
	case write && !raised && len(changed) > 0:
		return fmt.Errorf("results of %s changed, but %s is still %s: raise it first", strings.Join(changed, ", "), number, stamp)
	case write:
		return save(path, file{stamp, hashes})
	case raised:
		return fmt.Errorf("%s holds the results of stamp %q, not of %q: run this test with %s=1 and say in CHANGELOG.md what changed",
			path, kept.Stamp, stamp, WriteEnv)
	case len(changed) > 0:
		return fmt.Errorf("results of %s changed, but %s is still %s: undo the change, or raise %s, run this test with %s=1, and say in CHANGELOG.md what changed",
			strings.Join(changed, ", "), number, stamp, number, WriteEnv)
	case len(kept.Hashes) != len(hashes):
		return fmt.Errorf("%s holds %d results of %d: run this test with %s=1", path, len(kept.Hashes), len(hashes), WriteEnv)
	}
	return nil
}

// changed are the names of results that are kept otherwise, or no longer made.
func (f file) changed(hashes map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f.Hashes)) {
		if hashes[name] != f.Hashes[name] {
			names = append(names, name)
		}
	}
	return names
}

func read(path string) (file, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return file{}, nil
	}
	if err != nil {
		return file{}, fmt.Errorf("read the kept results: %w", err)
	}
	var kept file
	if err := json.Unmarshal(raw, &kept); err != nil {
		return file{}, fmt.Errorf("read the kept results of %s: %w", path, err)
	}
	return kept, nil
}

func save(path string, f file) error {
	body, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results: %w", err)
	}
	if err := os.WriteFile(path, append(body, '\n'), 0o644); err != nil {
		return fmt.Errorf("keep the results: %w", err)
	}
	return nil
}
