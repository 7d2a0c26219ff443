package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs/pine"
)

// maxScript is how many bytes of a script are read: the server's limit, and one more to find it exceeded.
const maxScript = 256<<10 + 1

func readScript(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", configError{err}
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxScript))
	if err == nil && len(text) == maxScript {
		err = fmt.Errorf("%s has more than %d bytes", path, maxScript-1)
	}
	return string(text), err
}

// compileScript compiles a script of the disk and prints what the compiler says of it. A script that is
// refused is exit status 1.
func compileScript(w io.Writer, path, source string, all bool) (*pine.Program, error) {
	program, diags := pine.Compile(source)
	for _, d := range diags {
		if program == nil && d.Severity == "error" || all {
			printDiagnostic(w, path, types.Diagnostic{
				Line: d.Line, Column: d.Column, Code: d.Code, Severity: string(d.Severity), Message: d.Message, Advice: d.Advice,
			})
		}
	}
	if program == nil {
		return nil, exitStatus(1)
	}
	return program, nil
}

// printDiagnostic writes a finding as compilers do: FILE:LINE:COL first.
func printDiagnostic(w io.Writer, path string, d types.Diagnostic) {
	fmt.Fprintf(w, "%s:%d:%d: %s %s %s", path, d.Line, d.Column, printable(d.Severity), printable(d.Code), printable(d.Message))
	if d.Advice != "" {
		fmt.Fprintf(w, "; %s", printable(d.Advice))
	}
	fmt.Fprintln(w)
}

// stored finds the script among those of the workspace by its content, or uploads it.
func stored(ctx context.Context, env *environment, api *client.Client, path, name, source string) (*types.Strategy, error) {
	all, err := api.Strategies(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(source))
	for i := range all.Items {
		if s := &all.Items[i]; s.SHA256 == hex.EncodeToString(sum[:]) {
			return s, nil
		}
	}
	return upload(ctx, env, api, path, types.StrategyRequest{Name: name, Source: source})
}

// examined waits until a worker has examined a script.
func examined(ctx context.Context, env *environment, api *client.Client, s *types.Strategy) (*types.Strategy, error) {
	const often = 200 * time.Millisecond
	for waits := 1; s.Status == "checking"; waits++ {
		if waits == 25 {
			fmt.Fprintln(env.stderr, "waiting for a worker to examine the script (--detach does not wait)")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(often):
		}
		var err error
		if s, err = api.Strategy(ctx, s.StrategyID); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// upload stores a script. A refusal is printed by line, as exit status 1.
func upload(ctx context.Context, env *environment, api *client.Client, path string, req types.StrategyRequest) (*types.Strategy, error) {
	made, err := api.AddStrategy(ctx, "", req)
	var answer *client.Error
	if errors.As(err, &answer) && answer.Status == http.StatusUnprocessableEntity && refusedLines(env.stderr, path, answer.Errors) {
		return nil, exitStatus(1)
	}
	return made, err
}

// refusedLines prints the lines at fault, and says whether there are any.
func refusedLines(w io.Writer, path string, faults []types.FieldError) bool {
	found := false
	for _, f := range faults {
		if f.Line > 0 {
			found = true
			printDiagnostic(w, path, types.Diagnostic{Line: f.Line, Column: f.Column, Code: f.Code, Severity: "error", Message: f.Message, Advice: f.Advice})
		}
	}
	return found
}
