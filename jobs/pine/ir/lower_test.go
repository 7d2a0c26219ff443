package ir

import (
	"os"
	"path/filepath"
	"testing"

	"millrace/jobs/pine/syntax"
)

func TestTmpCorpus(t *testing.T) {
	root := os.Getenv("MILLRACE_PINE_CASES")
	if root == "" {
		t.Skip("no cases")
	}
	files, _ := filepath.Glob(root + "/cases/*/strategy.pine")
	for _, f := range files {
		src, _ := os.ReadFile(f)
		s, ds := syntax.Parse(string(src))
		Lower(s, &ds)
		for _, d := range ds {
			if d.Severity == syntax.Error {
				t.Errorf("%s: %v", filepath.Base(filepath.Dir(f)), d)
			}
		}
	}
}
