package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"millrace/api/client"
)

// clientFlags say which server the client verbs talk to, and as whom.
type clientFlags struct {
	URL       string `name:"url" env:"MILLRACE_URL" help:"Address of the API."`
	APIKey    string `name:"api-key" env:"MILLRACE_API_KEY" help:"Key of the workspace."`
	Workspace string `name:"workspace" env:"MILLRACE_WORKSPACE_ID" help:"Workspace that the key must belong to."`
	EnvFile   string `name:"env-file" placeholder:"FILE" help:"Settings for what neither flag nor environment gives (by default ./.millrace/dev.env if it is there)."`
}

// defaultEnvFile is where `millrace dev` leaves its settings.
const defaultEnvFile = ".millrace/dev.env"

// open returns a client from the flags, the environment and the settings file, in this order.
func (f clientFlags) open() (*client.Client, error) {
	if err := f.fill(); err != nil {
		return nil, err
	}
	if f.APIKey == "" && f.URL != "" {
		return nil, configError{errors.New("MILLRACE_API_KEY is not set: name a key of the workspace")}
	}
	return f.connect()
}

// connect returns a client of what is set.
func (f clientFlags) connect() (*client.Client, error) {
	if f.URL == "" {
		return nil, configError{errors.New("MILLRACE_URL is not set: start `millrace dev`, or name the server")}
	}
	api, err := client.New(client.Options{URL: f.URL, Key: f.APIKey, Workspace: f.Workspace, UserAgent: "millrace-cli", Waiting: sayWaiting})
	if err != nil {
		return nil, configError{fmt.Errorf("MILLRACE_URL: %w", err)}
	}
	return api, nil
}

// sayWaiting says at once that the server is waited for, and why: a limit that is reached can last a minute.
func sayWaiting(wait time.Duration, why error) {
	fmt.Fprintf(os.Stderr, "millrace: %s; waiting %s\n", printable(why.Error()), wait.Round(time.Second))
}

// settings reads the settings file; there is none by default.
func (f clientFlags) settings() (map[string]string, error) {
	file := f.EnvFile
	if file == "" {
		file = defaultEnvFile
	}
	values, err := readEnvFile(file)
	if errors.Is(err, fs.ErrNotExist) && f.EnvFile == "" {
		return nil, nil
	}
	if err != nil {
		return nil, configError{fmt.Errorf("--env-file: %w", err)}
	}
	return values, nil
}

// fill takes what is missing from the settings file. The file that is found by itself gives its key
// only to its own server.
func (f *clientFlags) fill() error {
	values, err := f.settings()
	if err != nil || values == nil {
		return err
	}
	if f.URL != "" && f.APIKey == "" && f.EnvFile == "" && strings.TrimSuffix(f.URL, "/") != values["MILLRACE_URL"] {
		return nil
	}
	if f.APIKey == "" {
		f.APIKey = values["MILLRACE_API_KEY"]
		if f.Workspace == "" {
			f.Workspace = values["MILLRACE_WORKSPACE_ID"]
		}
	}
	if f.URL == "" {
		f.URL = values["MILLRACE_URL"]
	}
	return nil
}
