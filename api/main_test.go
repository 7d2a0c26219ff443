package api_test

import (
	"os"
	"testing"

	"millrace/jobs/worker/ingestion/sandbox"
)

// TestMain lets the test binary be a child of the workers that tests start.
func TestMain(m *testing.M) {
	if sandbox.IsChild(os.Args) {
		os.Exit(sandbox.Main())
	}
	os.Exit(m.Run())
}
