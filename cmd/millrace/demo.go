package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"millrace/api/client"
	"millrace/jobs/backtest/ohlcv"
)

// demoCmd is the verb `demo`: dev, the bundled sample, and a tune through HTTP.
type demoCmd struct {
	devCmd
	Exit bool `env:"DEMO_EXIT" help:"Stop once the leaderboard is printed."`
}

// Run starts dev, runs the tune as a client would, and stays up.
func (c *demoCmd) Run(ctx context.Context, env *environment) error {
	c.Addr = freeUnless(c.Addr)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return serve(ctx, env, c.Drain+15*time.Second, func(life *lifecycle) error {
		settings, err := c.start(ctx, life, env)
		if err != nil {
			return err
		}
		tune, err := demoTune(ctx, env, settings)
		if err != nil {
			return err
		}
		if c.Exit {
			stop()
			return nil
		}
		fmt.Fprintf(env.stdout, "\nMillrace stays up; Ctrl-C stops it.\n  console  %s/admin   (token %s)\n  tune     %[1]s/admin/tunes/%[4]s   (\"Run again with changes\" starts one like it, to watch)\n  stream   curl -N -H 'Authorization: Bearer %[3]s' %[1]s/events/stream\n",
			settings.URL, settings.AdminToken, settings.APIKey, tune)
		return nil
	})
}

// demoTune uploads the sample, runs a tune of 20,000 trials over it, and returns its id.
func demoTune(ctx context.Context, env *environment, settings devSettings) (string, error) {
	api, err := settings.client()
	if err != nil {
		return "", err
	}
	data, err := api.UploadDataset(ctx, client.Bytes("sp500.csv", ohlcv.Sample()), map[string]string{"name": "sp500", "symbol": "SPX", "timeframe": "1d"})
	if err != nil {
		return "", err
	}
	fmt.Fprintf(env.stdout, "dataset %s: %d daily bars of the S&P 500, %s to %s\n", data.Name, data.Bars, data.From.Format(time.DateOnly), data.To.Format(time.DateOnly))
	search := searchFlags{
		Data: []string{data.Name}, Strategy: "sma_cross", Param: []string{"fast=2:101:1", "slow=102:301:1"}, MaxDrawdown: new(40.0),
	}
	body, err := search.body()
	if err != nil {
		return "", err
	}
	body.OOSRatio = new(0.3)
	submitted, err := api.SubmitTune(ctx, "", body)
	if err != nil {
		return "", err
	}
	return submitted.TuneID, followTune(ctx, env, api, submitted.TuneID, showFlags{Top: 10})
}

// freeUnless keeps an address that can be listened on, and otherwise takes a free port of its host.
func freeUnless(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		err = l.Close()
	}
	host, _, splitErr := net.SplitHostPort(addr)
	if err := errors.Join(err, splitErr); err == nil || splitErr != nil {
		return addr
	}
	return net.JoinHostPort(host, "0")
}
