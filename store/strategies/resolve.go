package strategies

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/jobs/sweep"
	"millrace/store"
)

// Prefix begins the names of strategies that are scripts.
const Prefix = "pine:"

// IsScript reports whether a strategy's name is that of a script.
func IsScript(name string) bool { return strings.HasPrefix(name, Prefix) }

// Label is what reports and traces call a strategy; the names of scripts are their owners' own.
func Label(name string) string {
	if IsScript(name) {
		return "pine"
	}
	return name
}

// Bind binds a spec to the script that it names or pins, and pins it: its name becomes that of the
// version, its hash says which source. A spec of a built-in strategy stays as it is. The error is
// ErrNotFound when the workspace has no such script.
func (s *Store) Bind(ctx context.Context, workspace uuid.UUID, spec *sweep.Spec) error {
	if !IsScript(spec.StrategyName) {
		spec.Script = nil
		return nil
	}
	if spec.Script == nil {
		script, err := s.find(ctx, workspace, strings.TrimPrefix(spec.StrategyName, Prefix))
		if err != nil {
			return err
		}
		spec.StrategyName = script.FullName()
		spec.Script = &sweep.Script{ID: script.ID.String(), Name: script.Name, Version: script.Version, SHA256: hex.EncodeToString(script.SHA256)}
	}
	sum, err := hex.DecodeString(spec.Script.SHA256)
	if err != nil || len(sum) != len(hash{}) {
		return fmt.Errorf("hash of script %s: %w", spec.Script.ID, store.ErrNotFound)
	}
	program, err := s.program(ctx, workspace, hash(sum))
	if err != nil {
		return err
	}
	strategy := pine.NewStrategy(spec.StrategyName, program)
	spec.Bind(strategy)
	spec.Script.Params = []string{}
	for _, param := range strategy.Params() {
		spec.Script.Params = append(spec.Script.Params, param.Name)
	}
	return nil
}

// Resolver finds the built-in strategies, and the scripts of a workspace.
func (s *Store) Resolver(ctx context.Context, workspace uuid.UUID) backtest.Resolver {
	return func(name string) (backtest.Strategy, error) {
		if strategy, ok := backtest.Lookup(name); ok {
			return strategy, nil
		}
		spec := sweep.Spec{StrategyName: name}
		if err := s.Bind(ctx, workspace, &spec); err != nil {
			return nil, err
		}
		if strategy := spec.Strategy(); strategy != nil {
			return strategy, nil
		}
		return nil, fmt.Errorf("strategy %q: %w", name, store.ErrNotFound)
	}
}

// find reads the script of a name, an id, or either with @VERSION; without it, the latest version.
func (s *Store) find(ctx context.Context, workspace uuid.UUID, name string) (Script, error) {
	name, versionText, versioned := strings.Cut(name, "@")
	version := int64(0)
	if versioned {
		var err error
		if version, err = strconv.ParseInt(versionText, 10, 32); err != nil || version < 1 {
			return Script{}, fmt.Errorf("version %q of a script: %w", versionText, store.ErrNotFound)
		}
	}
	id, _ := uuid.Parse(name) // not an id: matches none
	var script Script
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		script, err = one(ctx, tx, `
			select `+columns+` from strategies
			 where workspace_id = $1 and (id = $2 or name = $3) and ($4 = 0 or version = $4) and erased_at is null
			 order by id = $2 desc, version desc limit 1`, workspace, id, name, version)
		return err
	})
	return script, err
}

// program compiles the script of a hash, or finds it in memory. That the workspace has it is asked of
// the database each time.
func (s *Store) program(ctx context.Context, workspace uuid.UUID, sum hash) (*pine.Program, error) {
	var source string
	known := s.known(sum)
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		return asMissing(tx.QueryRow(ctx, `
			select case when $3 then '' else source end from strategies where workspace_id = $1 and sha256 = $2`,
			workspace, sum[:], known != nil).Scan(&source))
	})
	if err != nil {
		return nil, err
	}
	if known != nil {
		return known, nil
	}
	program, diags := pine.Compile(source)
	if program == nil {
		// It compiled when it was uploaded: the rules are others now. The text stays out of the error.
		first := pine.Diagnostic{}
		if i := slices.IndexFunc(diags, func(d pine.Diagnostic) bool { return d.Severity == "error" }); i >= 0 {
			first = diags[i]
		}
		return nil, fmt.Errorf("script %x is not accepted any more (line %d, %s); upload it again: %w", sum[:6], first.Line, first.Code, store.ErrNotFound)
	}
	s.remember(sum, program)
	return program, nil
}

func (s *Store) known(sum hash) *pine.Program {
	s.mu.Lock()
	defer s.mu.Unlock()
	program := s.compiled[sum]
	if program != nil {
		at := slices.Index(s.order, sum)
		s.order = append(slices.Delete(s.order, at, at+1), sum)
	}
	return program
}

func (s *Store) remember(sum hash, program *pine.Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.compiled[sum] != nil {
		return
	}
	if len(s.order) == programsKept {
		delete(s.compiled, s.order[0])
		s.order = s.order[1:]
	}
	s.compiled[sum] = program
	s.order = append(s.order, sum)
}
