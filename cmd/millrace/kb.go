package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/judge"
	"millrace/ops"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// kbCmd groups the verbs of the knowledge base.
type kbCmd struct {
	Judge kbJudgeCmd `cmd:"" help:"Measure how well a workspace's knowledge answers questions whose answers are known."`
}

// kbJudgeCmd is the verb `kb judge`. It asks the database and not a server: a set of questions would meet a
// server's limits, and leave each question in the coverage.
type kbJudgeCmd struct {
	databaseFlags
	knowledgeFlags
	File      string `arg:"" type:"existingfile" help:"Questions, a JSON object a line: question, document and phrase that answer, or off_domain."`
	Workspace string `env:"MILLRACE_WORKSPACE_ID" help:"Name or id of the workspace."`
	Missed    bool   `help:"Also print the questions that are missed, and what came first instead."`
	EnvFile   string `name:"env-file" placeholder:"FILE" help:"Settings for what neither flag nor environment gives (by default ./.millrace/dev.env if it is there)."`
}

// Run asks each question by BM25 alone and by the search as it is set up, and prints both.
func (c *kbJudgeCmd) Run(ctx context.Context, env *environment) (err error) {
	cases, err := readCases(c.File)
	if err != nil {
		return err
	}
	settings, err := clientFlags{EnvFile: c.EnvFile}.settings()
	if err != nil {
		return err
	}
	c.DatabaseURL = cmp.Or(c.DatabaseURL, settings["DATABASE_URL"])
	c.Workspace = cmp.Or(c.Workspace, settings["MILLRACE_WORKSPACE_ID"])
	if c.Workspace == "" {
		return configError{errors.New("name the workspace: --workspace, or MILLRACE_WORKSPACE_ID")}
	}
	if err := checked(c.databaseFlags.check(), c.knowledgeFlags.check()); err != nil {
		return err
	}
	var life lifecycle
	defer func() { err = errors.Join(err, life.stop(stopQuickly)) }()
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: c.DatabaseURL, MaxConns: 4, Name: "millrace kb"})
	if err != nil {
		return configError{fmt.Errorf("DATABASE_URL: %w", err)}
	}
	life.onStop(func(context.Context) error { pool.Close(); return nil })
	st := stores.New(pool, nil)
	parts, err := c.openKnowledge(&life, st, ops.NewMetrics(), env.logger)
	if err != nil {
		return err
	}
	base, err := parts.base(st)
	if err != nil {
		return err
	}
	workspace, err := storedWorkspace(ctx, st, c.Workspace)
	if err != nil {
		return err
	}
	judged, err := judge.Run(ctx, base, workspace, cases)
	if err != nil {
		return err
	}
	if err := judge.Summarize(judged).Write(env.stdout); err != nil || !c.Missed {
		return err
	}
	return printMissed(env.stdout, judged)
}

func readCases(path string) ([]judge.Case, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cases, err := judge.Read(file)
	if err != nil {
		return nil, configError{fmt.Errorf("%s: %w", path, err)}
	}
	if len(cases) == 0 {
		return nil, configError{fmt.Errorf("%s has no questions", path)}
	}
	return cases, nil
}

// storedWorkspace finds a workspace by id or name.
func storedWorkspace(ctx context.Context, st *stores.Set, named string) (uuid.UUID, error) {
	find := func() (tenants.Workspace, error) { return st.Tenants.WorkspaceNamed(ctx, named) }
	if id, err := uuid.Parse(named); err == nil {
		find = func() (tenants.Workspace, error) { return st.Tenants.Workspace(ctx, id) }
	}
	found, err := find()
	if errors.Is(err, store.ErrNotFound) {
		return uuid.Nil, configError{fmt.Errorf("--workspace (MILLRACE_WORKSPACE_ID): no workspace is called %q", named)}
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("workspace %q: %w", named, err)
	}
	return found.ID, nil
}

func printMissed(w io.Writer, judged []judge.Judged) error {
	for _, j := range judge.Missed(judged) {
		what := "not in the answer"
		if !j.Recalled {
			what = "not among the first ten"
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", what, printable(j.Question)); err != nil {
			return err
		}
		for i, m := range j.First {
			text := printable(knowledge.Line(m.Text, 100))
			if _, err := fmt.Fprintf(w, "  %d. %s, %s: %s\n", i+1, printable(m.Title), where(m), text); err != nil {
				return err
			}
		}
	}
	return nil
}

// where names a passage's place in its document.
func where(m knowledge.Match) string { return fmt.Sprintf("part %d", m.Index+1) }
