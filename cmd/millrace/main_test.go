package main

import (
	"os"
	"testing"

	"millrace/jobs/worker/ingestion/sandbox"
)

// TestMain lets the test binary be a child of a worker's sandbox.
func TestMain(m *testing.M) {
	if sandbox.IsChild(os.Args) {
		os.Exit(sandbox.Main())
	}
	os.Exit(m.Run())
}
