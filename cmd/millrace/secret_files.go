package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
)

// secretFiles give secrets from files, which unlike variables no other process can read: NAME_FILE names the
// file of the variable NAME, and in systemd's CREDENTIALS_DIRECTORY the file has the variable's own name. A
// flag goes before a file, and a variable and its file together are a mistake.
type secretFiles struct{ lookup func(string) (string, bool) }

// maxSecret is the most that a file of a secret may hold, in bytes: what is larger is another file.
const maxSecret = 64 << 10

// Validate implements kong.Resolver.
func (secretFiles) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (f secretFiles) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, variable := range flag.Envs {
		value, from, err := f.read(variable)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", flag.Name, err)
		}
		if from != "" {
			return value, nil
		}
	}
	return nil, nil
}

// read is the secret that a file has for a variable, and which file that is; "" when none has.
func (f secretFiles) read(variable string) (value, from string, err error) {
	if !(setting{Variable: variable}).secret() {
		return "", "", nil
	}
	set, _ := f.lookup(variable)
	named, _ := f.lookup(variable + "_FILE")
	path := named
	if path == "" {
		folder, _ := f.lookup("CREDENTIALS_DIRECTORY")
		if folder == "" || set != "" {
			return "", "", nil
		}
		path = filepath.Join(folder, variable)
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return "", "", nil
		}
	}
	if set != "" {
		return "", "", fmt.Errorf("%s and %s_FILE are both set: keep one", variable, variable)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("%s_FILE: %w", variable, err)
	}
	if info.Size() > maxSecret {
		return "", "", fmt.Errorf("%s_FILE: %s has %d bytes: a secret has %d at most", variable, path, info.Size(), maxSecret)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("%s_FILE: %w", variable, err)
	}
	if value = strings.TrimSpace(string(content)); value == "" {
		return "", "", fmt.Errorf("%s_FILE: %s is empty", variable, path)
	}
	return value, path, nil
}

var _ kong.Resolver = secretFiles{}
