package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/manifest"
	"millrace/store/market"
)

// importCmd is the verb `import`.
type importCmd struct {
	clientFlags
	File string `arg:"" type:"existingfile" help:"File that export wrote."`
}

// Run checks the file, stores its data and script here, submits its request and compares what comes out
// with what the file holds. Nothing is taken over that was not computed here.
func (c *importCmd) Run(ctx context.Context, env *environment) error {
	bundle, err := readBundle(c.File)
	if err != nil {
		return err
	}
	if err := bundle.Check(); err != nil {
		return err
	}
	api, err := c.open()
	if err != nil {
		return err
	}
	in := importer{api: api, bundle: bundle}
	if err := in.storeData(ctx); err != nil {
		return err
	}
	if err := in.storeScript(ctx); err != nil {
		return err
	}
	id, err := in.submit(ctx)
	if err != nil {
		return err
	}
	body, err := findResult(ctx, api, id, "/manifest")
	if err != nil {
		return err
	}
	made, err := manifest.Read(body)
	if err != nil {
		return err
	}
	var differs []string
	for _, part := range slices.Sorted(maps.Keys(bundle.Manifest.Result.Parts)) {
		if made.Result.Parts[part] != bundle.Manifest.Result.Parts[part] {
			differs = append(differs, part)
		}
	}
	if len(differs) > 0 {
		return fmt.Errorf("%s %s was made of the file and differs in %s (engine %s here, %s there): `millrace reproduce %s` says where",
			made.Kind, id, strings.Join(differs, ", "), known(made.Stamp), known(bundle.Manifest.Stamp), c.File)
	}
	_, err = fmt.Fprintf(env.stdout, "%s %s  result %.12s  the same bytes as in the file\n", made.Kind, id, made.Result.SHA256)
	return err
}

// importer puts one bundle into a server.
type importer struct {
	api      *client.Client
	bundle   *manifest.Bundle
	datasets []string // ids here, in the manifest's order
	intrabar string   // id here of the dataset inside the first; "": there is none
	strategy string   // name here; "" when it is built in
}

// storeData uploads the datasets, and that of the bars inside the first one.
func (in *importer) storeData(ctx context.Context) error {
	for i, d := range in.bundle.Manifest.Datasets {
		bars, err := in.bundle.Bars(i)
		if err != nil {
			return err
		}
		id, err := in.storeBars(ctx, d, bars)
		if err != nil {
			return err
		}
		in.datasets = append(in.datasets, id)
	}
	inside := in.bundle.Manifest.Intrabar
	if inside == nil {
		return nil
	}
	bars, err := in.bundle.IntrabarBars()
	if err == nil {
		in.intrabar, err = in.storeBars(ctx, *inside, bars)
	}
	return err
}

// storeBars uploads one dataset and returns its id here; where the name is taken by other bars, it goes under the
// name with a part of the hash.
func (in *importer) storeBars(ctx context.Context, d manifest.Dataset, bars *backtest.Bars) (id string, err error) {
	var csv bytes.Buffer
	out := bufio.NewWriter(&csv)
	if err := errors.Join(ohlcv.WriteCSV(out, bars), out.Flush()); err != nil {
		return "", err
	}
	plain := d.Name // a version's number means something only where it was made
	if series, _, ok := market.SplitVersion(d.Name); ok {
		plain = series
	}
	var made *types.Dataset
	for _, name := range []string{plain, fmt.Sprintf("%.80s %.12s", plain, d.SHA256)} {
		made, err = in.api.UploadDataset(ctx, client.Bytes("bars.csv", csv.Bytes()), datasetFields(name, d))
		var answered *client.Error
		if !errors.As(err, &answered) || answered.Status != http.StatusConflict {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("store dataset %s: %w", d.Name, err)
	}
	if made.SHA256 != manifest.BarsSum(bars) && made.SHA256 != d.SHA256 {
		return "", fmt.Errorf("dataset %s has other bars when it is stored here: %.12s, not %.12s", d.Name, made.SHA256, d.SHA256)
	}
	return made.DatasetID, nil
}

// datasetFields are the texts that a dataset is uploaded with.
func datasetFields(name string, d manifest.Dataset) map[string]string {
	fields := map[string]string{
		"name": name, "symbol": d.Symbol, "timeframe": d.Timeframe, "calendar": strconv.Itoa(d.Calendar),
		"time_zone": d.Instrument.TimeZone, "session": d.Instrument.Session, "currency": d.Instrument.Currency,
		"time_range": "any", "jump": "any", // they were taken once
	}
	for field, v := range map[string]float64{
		"periods_per_year": d.Instrument.PeriodsPerYear, "tick_size": d.Instrument.TickSize,
		"quantity_step": d.Instrument.QuantityStep, "point_value": d.Instrument.PointValue,
	} {
		if v > 0 {
			fields[field] = strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	return fields
}

func (in *importer) storeScript(ctx context.Context) error {
	s := in.bundle.Manifest.Script
	if s == nil {
		return nil
	}
	made, err := in.api.AddStrategy(ctx, "", types.StrategyRequest{Name: s.Name, Source: in.bundle.Script})
	if err != nil {
		return fmt.Errorf("store script %s: %w", s.Name, err)
	}
	in.strategy = made.Name
	return nil
}

// submit sends the request of the manifest and waits for its end.
func (in *importer) submit(ctx context.Context) (id string, err error) {
	body, err := in.request()
	if err != nil {
		return "", err
	}
	m := in.bundle.Manifest
	key := "import-" + manifest.Sum(append([]byte(in.bundle.Sum), body...))
	switch m.Kind {
	case manifest.Run:
		made, err := send[types.RunRequest](ctx, key, body, in.api.Run)
		if err != nil {
			return "", err
		}
		return made.RunID, nil
	case manifest.WalkForward:
		made, err := send[types.WFORequest](ctx, key, body, in.api.SubmitWFO)
		if err != nil {
			return "", err
		}
		_, err = in.api.FollowWFO(ctx, made.WFOID, 0, func(types.WFO) {})
		return made.WFOID, err
	}
	made, err := send[types.TuneRequest](ctx, key, body, in.api.SubmitTune)
	if err != nil {
		return "", err
	}
	_, err = in.api.FollowTune(ctx, made.TuneID, 0, func(types.Tune) {})
	return made.TuneID, err
}

// send decodes a request into its type and sends it.
func send[Body, Answer any](ctx context.Context, key string, raw []byte, to func(context.Context, string, Body) (*Answer, error)) (*Answer, error) {
	var body Body
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, fmt.Errorf("the manifest's request cannot be sent: %w", err)
	}
	return to(ctx, key, body)
}

// request is the manifest's spec as a request: with the ids of this server, and without what a server adds.
func (in *importer) request() ([]byte, error) {
	m := in.bundle.Manifest
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(m.Spec, &fields); err != nil {
		return nil, fmt.Errorf("the manifest's spec cannot be read: %w", err)
	}
	for _, added := range []string{"script", "notes", "override"} {
		delete(fields, added)
	}
	set := func(name string, value any) error {
		raw, err := json.Marshal(value)
		fields[name] = raw
		return err
	}
	var err error
	if len(in.datasets) > 1 || fields["datasets"] != nil {
		err = set("datasets", in.datasets)
	} else {
		err = set("dataset", in.datasets[0])
	}
	if in.intrabar != "" {
		err = errors.Join(err, set("intrabar_dataset", in.intrabar))
	}
	if in.strategy != "" {
		err = errors.Join(err, set("strategy_name", in.strategy))
	}
	if m.Kind == manifest.WalkForward {
		fields["wfo_config"] = m.Config
		delete(fields, "window")
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}
