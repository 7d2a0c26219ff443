package main

import (
	"context"
	"fmt"
	"net/http"

	"riverqueue.com/riverui"

	"millrace/api"
	"millrace/jobs"
)

// startRiverUI starts River's own pages on the API's insert-only client. They run no job.
func startRiverUI(life *lifecycle, env *environment, client *jobs.InsertClient) (http.Handler, error) {
	handler, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints:                riverui.NewEndpoints(client.Client, nil),
		JobListHideArgsByDefault: true,
		Logger:                   env.logger,
		Prefix:                   api.RiverPath,
	})
	if err != nil {
		return nil, fmt.Errorf("River UI: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	if err := handler.Start(ctx); err != nil {
		stop()
		return nil, fmt.Errorf("start River UI: %w", err)
	}
	life.onStop(func(context.Context) error { stop(); return nil })
	return handler, nil
}
