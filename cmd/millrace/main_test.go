package main

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"millrace/jobs/worker/ingestion/sandbox"
)

// TestMain lets the test binary be a child of a worker's sandbox, or the least that fans an event out.
func TestMain(m *testing.M) {
	if clients, err := strconv.Atoi(os.Getenv(bareWrites)); err == nil {
		if err := writeBare(clients); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if sandbox.IsChild(os.Args) {
		os.Exit(sandbox.Main())
	}
	os.Exit(m.Run())
}
