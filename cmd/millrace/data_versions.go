package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"millrace/api/client"
	"millrace/api/types"
)

// dataAppendCmd is the verb `data append`.
type dataAppendCmd struct {
	clientFlags
	Name    string `arg:"" help:"Name or id of the dataset."`
	File    string `arg:"" type:"existingfile" help:"CSV or Parquet file; bars that are stored already must be the same."`
	Rewrite bool   `help:"The file's bars replace all that are stored, as after a split or a dividend."`
	Gap     string `placeholder:"GAP" help:"any: months without a bar may lie between stored and new ones."`
	Weekend string `placeholder:"WEEKEND" help:"any: new bars may be of a weekend where no stored one is."`
	fileOptions
}

// Run sends the file and says which version was made.
func (c *dataAppendCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	file, err := fileOf(c.File)
	if err != nil {
		return err
	}
	fields := c.fields()
	maps.Copy(fields, stated(map[string]string{"gap": c.Gap, "weekend": c.Weekend}))
	if c.Rewrite {
		fields["rewrite"] = "true"
	}
	made, err := api.ExtendDataset(ctx, c.Name, file, fields)
	if err != nil {
		return err
	}
	d := made.Dataset
	if !made.Made {
		fmt.Fprintf(env.stdout, "dataset %s  %s version %d has these bars already\n", d.DatasetID, printable(d.Name), d.Version)
		return nil
	}
	fmt.Fprintf(env.stdout, "dataset %s  %s version %d  %s, %d of them new\n", d.DatasetID, printable(d.Name), d.Version, counted(d.Bars, "bar"), made.AddedBars)
	if made.Note != "" {
		fmt.Fprintf(env.stdout, "rewritten: %s\n", printable(made.Note))
		s := made.Stale
		fmt.Fprintf(env.stdout, "stale: %s, %s, %s of earlier versions\n", counted(s.Tunes, "tune"), counted(s.WalkForwards, "walk-forward"), counted(s.Runs, "run"))
		if len(s.IDs) > 0 {
			fmt.Fprintf(env.stdout, "  %s\n", strings.Join(s.IDs, "\n  "))
		}
	}
	if d.Reading != nil {
		writeReading(env.stdout, d.Reading)
	}
	return nil
}

// dataVersionsCmd is the verb `data versions`.
type dataVersionsCmd struct {
	clientFlags
	Name string `arg:"" help:"Name or id of the dataset."`
}

// Run pages through the versions.
func (c *dataVersionsCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"version", "id", "change", "bars", "added", "to", "results", "sha256", "note"})
	list := func(ctx context.Context, query url.Values) (*types.List[types.DatasetVersion], error) {
		return api.DatasetVersions(ctx, c.Name, query)
	}
	err = client.Each(ctx, list, func(v types.DatasetVersion) error {
		results := strconv.Itoa(v.Results.Tunes + v.Results.WalkForwards + v.Results.Runs)
		if v.Stale {
			results += " stale"
		}
		writeRow(out, []string{
			strconv.Itoa(v.Version), v.DatasetID, string(v.Change), strconv.Itoa(v.Bars), strconv.Itoa(v.AddedBars), v.To.Format(time.RFC3339), results, v.SHA256[:12], v.Note,
		})
		return nil
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// dataDescribeCmd is the verb `data describe`.
type dataDescribeCmd struct {
	clientFlags
	Name           string   `arg:"" help:"Name or id of the dataset."`
	Calendar       *int     `placeholder:"DAYS" help:"Trading days a year: 252, 260 (weekdays around the clock) or 365."`
	PeriodsPerYear *float64 `placeholder:"N" help:"Returns in a year, by which figures are annualised."`
	TimeZone       *string  `placeholder:"ZONE" help:"Zone of the instrument's days, such as America/New_York."`
	Session        *string  `placeholder:"HH:MM-HH:MM" help:"Trading hours in the time zone; one over midnight ends its day."`
	TickSize       *float64 `placeholder:"STEP" help:"Smallest price step."`
	QuantityStep   *float64 `placeholder:"STEP" help:"Smallest step of a quantity."`
	PointValue     *float64 `placeholder:"MONEY" help:"Money a price move of one makes for one unit."`
	Currency       *string  `help:"Currency of the prices."`
}

// Run sends what is stated.
func (c *dataDescribeCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	made, err := api.DescribeDataset(ctx, c.Name, types.DatasetChange{
		Calendar: c.Calendar, PeriodsPerYear: c.PeriodsPerYear, TimeZone: c.TimeZone, Session: c.Session,
		TickSize: c.TickSize, QuantityStep: c.QuantityStep, PointValue: c.PointValue, Currency: c.Currency,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "dataset %s  %s version %d\n", made.DatasetID, printable(made.Name), made.Version)
	return err
}
