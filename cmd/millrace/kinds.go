package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"millrace/api/client"
)

// ofOtherKind is the error of a verb that met nothing of its kinds under an id: it names the kind that has the id, and the
// command that shows it, or says that nothing has it.
func ofOtherKind(ctx context.Context, api *client.Client, verb, id string, met error) error {
	if !client.IsNotFound(met) {
		return met
	}
	for _, kind := range []struct{ name, path, see string }{
		{"a tune", "/backtests/tunes/", "watch " + id},
		{"a walk-forward", "/backtests/wfo/", "watch " + id},
		{"an ingestion", "/ingest/jobs/", "watch " + id},
		{"a run plan", "/run-plans/", "plans show " + id},
		{"a single backtest", "/backtests/runs/", "trades " + id},
		{"a schedule", "/schedules/", "schedules show " + id},
		{"a webhook", "/webhooks/", "webhooks show " + id},
		{"a dataset", "/datasets/", "data versions " + id},
		{"a script", "/strategies/", "pine list"},
		{"a document", "/documents/", "ask"},
	} {
		var found json.RawMessage
		if api.Get(ctx, kind.path+url.PathEscape(id), &found) == nil {
			return fmt.Errorf("%s is %s, which millrace %s does not take: see millrace %s", printable(id), kind.name, verb, printable(kind.see))
		}
	}
	return fmt.Errorf("nothing of this workspace has the id %s: see millrace tunes list", printable(id))
}
