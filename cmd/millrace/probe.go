package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// probeCmd is the verb `probe`: a health check for images that hold nothing else.
type probeCmd struct {
	URL     string        `arg:"" help:"Address to ask, such as http://127.0.0.1:8080/readyz."`
	Timeout time.Duration `default:"3s" help:"How long to wait."`
}

// Run succeeds when the address answers 2xx in time.
func (c *probeCmd) Run(ctx context.Context, env *environment) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return configError{fmt.Errorf("probe %s: %w", c.URL, err)}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("probe %s: %s", c.URL, resp.Status)
	}
	_, err = fmt.Fprintln(env.stdout, resp.Status)
	return err
}
