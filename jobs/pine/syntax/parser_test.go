package syntax

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTmpCorpus(t *testing.T) {
	root := os.Getenv("MILLRACE_PINE_CASES")
	if root == "" {
		t.Skip("no cases")
	}
	files, _ := filepath.Glob(root + "/cases/*/strategy.pine")
	for _, f := range files {
		src, _ := os.ReadFile(f)
		_, ds := Parse(string(src))
		for _, d := range ds {
			t.Errorf("%s: %v", filepath.Base(filepath.Dir(f)), d)
		}
	}
}
