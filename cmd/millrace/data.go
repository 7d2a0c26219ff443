package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
)

// dataCmd holds the verbs about datasets.
type dataCmd struct {
	Generate dataGenerateCmd `cmd:"" help:"Write synthetic bars as CSV: seeded, of any length and interval."`
	Upload   dataUploadCmd   `cmd:"" help:"Upload OHLCV bars as the vendor gave them: CSV or Parquet, also packed."`
	Inspect  dataInspectCmd  `cmd:"" help:"Show how a file of bars would be read, without storing it."`
	List     dataListCmd     `cmd:"" help:"List the datasets of the workspace."`
	Append   dataAppendCmd   `cmd:"" help:"Append bars to a dataset, as its next version."`
	Versions dataVersionsCmd `cmd:"" help:"List the versions of a dataset, and what was computed on each."`
	Describe dataDescribeCmd `cmd:"" help:"Describe a dataset's instrument otherwise, as its next version."`
}

// dataGenerateCmd is the verb `data generate`.
type dataGenerateCmd struct {
	Bars     int           `default:"9000" help:"Number of bars."`
	Interval time.Duration `default:"24h" help:"Time between bars."`
	Seed     uint64        `default:"1" help:"The same seed makes the same bars."`
	Start    string        `default:"2000-01-01" help:"Time of the first bar: a date or RFC 3339."`
	Price    float64       `default:"100" help:"First price."`
	Vol      float64       `default:"0.2" help:"Annual volatility of the calm regime, as a fraction."`
	Out      string        `short:"o" default:"-" help:"File to write; - is standard output."`
}

// Run writes the bars.
func (c *dataGenerateCmd) Run(env *environment) error {
	start, err := time.Parse(time.DateOnly, c.Start)
	if err != nil {
		if start, err = time.Parse(time.RFC3339, c.Start); err != nil {
			return configError{fmt.Errorf("--start: %q is neither a date nor an RFC 3339 time", c.Start)}
		}
	}
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: c.Seed, Bars: c.Bars, Interval: c.Interval, Start: start, Price: c.Price, Vol: c.Vol})
	if err != nil {
		return configError{err}
	}
	write := func(w io.Writer) error {
		out := bufio.NewWriter(w)
		if err := ohlcv.WriteCSV(out, bars); err != nil {
			return err
		}
		return out.Flush()
	}
	if c.Out == "-" {
		return write(env.stdout)
	}
	file, err := os.Create(c.Out)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// dataUploadCmd is the verb `data upload`.
type dataUploadCmd struct {
	clientFlags
	File   string `arg:"" type:"existingfile" help:"CSV or Parquet file."`
	Name   string `help:"Name of the dataset; by default the file's."`
	Symbol string `help:"Symbol; by default the name."`
	readOptions
}

// Run uploads the file.
func (c *dataUploadCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		base := filepath.Base(c.File)
		name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	symbol := c.Symbol
	if symbol == "" {
		symbol = name
	}
	file, err := fileOf(c.File)
	if err != nil {
		return err
	}
	fields := c.fields()
	fields["name"], fields["symbol"] = name, symbol
	made, err := api.UploadDataset(ctx, file, fields)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "dataset %s  %s  %s of %s\n", made.DatasetID, printable(made.Name), counted(made.Bars, "bar"), made.Timeframe)
	if made.Reading != nil {
		writeReading(env.stdout, made.Reading)
	}
	return nil
}

// fileOf is a file of the disk as it is uploaded.
func fileOf(path string) (client.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return client.File{}, err
	}
	open := func() (io.ReadCloser, error) { return os.Open(path) }
	return client.File{Name: filepath.Base(path), Size: info.Size(), Open: open}, nil
}

// dataListCmd is the verb `data list`.
type dataListCmd struct {
	clientFlags
}

// Run pages through the datasets.
func (c *dataListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"id", "name", "version", "symbol", "timeframe", "bars", "from", "to"})
	err = client.Each(ctx, api.Datasets, func(d types.Dataset) error {
		writeRow(out, []string{
			d.DatasetID, d.Name, strconv.Itoa(d.Version), d.Symbol, d.Timeframe, strconv.Itoa(d.Bars), d.From.Format(time.RFC3339), d.To.Format(time.RFC3339),
		})
		return nil
	})
	if err != nil {
		return err
	}
	return out.Flush()
}
