package main

import (
	"cmp"
	"context"
	"errors"

	"millrace/api/client"
	"millrace/api/types"
)

// followIngest shows what becomes of one ingestion on stderr and the result on stdout. An interrupt leaves the ingestion alone.
func followIngest(ctx context.Context, env *environment, api *client.Client, state *types.Ingest, show showFlags) error {
	source := &ingestSource{path: cmp.Or(state.Name, text(state.URL), state.JobID)}
	board := newIngestBoard(env.stderr, []*ingestSource{source})
	board.submitted(source, state, nil)
	following, stop := context.WithCancel(ctx)
	defer stop()
	board.onAllEnded(stop)
	err := followIngests(following, api, board)
	board.done()
	switch {
	case board.allEnded():
	case errors.Is(ctx.Err(), context.Canceled):
		return leftAlone(env, "ingestion", state.JobID)
	default:
		return err
	}
	if err := (&ingestCmd{JSON: show.JSON}).print(env, board.sources); err != nil {
		return err
	}
	if source.failed() {
		return unfinished("ingestion", source.state.Status, source.state.Reason)
	}
	return nil
}
