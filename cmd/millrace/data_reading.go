package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"millrace/api/types"
)

// fileOptions say of a file what it leaves open.
type fileOptions struct {
	TimeZone   string `placeholder:"ZONE" help:"Zone of times without one and of the instrument's days, such as America/New_York."`
	DateOrder  string `placeholder:"ORDER" help:"dmy or mdy, when the file does not decide."`
	TimeFormat string `placeholder:"FORMAT" help:"Of numbers as times: unix_s, YYYYMMDD, excel and others."`
	Decimal    string `placeholder:"MARK" help:"The decimal mark: . or ,"`
	PriceScale string `placeholder:"FACTOR" help:"A number that prices are multiplied by, such as 1e-9."`
	Adjust     string `placeholder:"HOW" help:"none or split_dividend: scale prices by the adjusted close."`
	Columns    string `placeholder:"OURS=THEIRS,…" help:"Which column is which, as in time=Date,close=Last or time=1,open=2."`
	Ticker     string `help:"The instrument to read of a file that holds several."`
	Order      string `help:"sort: rows in no order are sorted by time."`
	TimeRange  string `placeholder:"RANGE" help:"any: also times before 1950 and in the future."`
	Jump       string `placeholder:"JUMP" help:"any: prices may change manifold from one bar to the next."`
}

// fields are those of the form that are stated.
func (o fileOptions) fields() map[string]string {
	return stated(map[string]string{
		"time_zone": o.TimeZone, "date_order": o.DateOrder, "time_format": o.TimeFormat, "decimal": o.Decimal, "price_scale": o.PriceScale,
		"adjust": o.Adjust, "columns": o.Columns, "ticker": o.Ticker, "order": o.Order, "time_range": o.TimeRange, "jump": o.Jump,
	})
}

// readOptions say of a file and its instrument what the file leaves open.
type readOptions struct {
	fileOptions
	Timeframe      string `help:"Time between bars, as in 1d, 1h, 5m; by default found in them."`
	Calendar       string `help:"Trading days a year: 252, 260 (weekdays around the clock) or 365; by default found in the bars."`
	PeriodsPerYear string `placeholder:"N" help:"Returns in a year, by which figures are annualised; by default by the calendar, or as observed."`
	Session        string `placeholder:"HH:MM-HH:MM" help:"Trading hours in the time zone; one over midnight ends its day."`
	TickSize       string `placeholder:"STEP" help:"Smallest price step; by default as the prices show."`
	QuantityStep   string `placeholder:"STEP" help:"Smallest step of a quantity."`
	PointValue     string `placeholder:"MONEY" help:"Money a price move of one makes for one unit."`
	Currency       string `help:"Currency of the prices."`
}

// fields are those of the form that are stated.
func (o readOptions) fields() map[string]string {
	fields := stated(map[string]string{
		"timeframe": o.Timeframe, "calendar": o.Calendar, "periods_per_year": o.PeriodsPerYear, "session": o.Session, "tick_size": o.TickSize,
		"quantity_step": o.QuantityStep, "point_value": o.PointValue, "currency": o.Currency,
	})
	maps.Copy(fields, o.fileOptions.fields())
	return fields
}

func stated(fields map[string]string) map[string]string {
	maps.DeleteFunc(fields, func(_, value string) bool { return value == "" })
	return fields
}

// dataInspectCmd is the verb `data inspect`.
type dataInspectCmd struct {
	clientFlags
	File string `arg:"" type:"existingfile" help:"CSV or Parquet file."`
	readOptions
}

// Run shows how the file would be read. A file that leaves a question open is an error.
func (c *dataInspectCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	file, err := fileOf(c.File)
	if err != nil {
		return err
	}
	found, err := api.InspectDataset(ctx, file, c.fields())
	if err != nil {
		return err
	}
	writeReading(env.stdout, &found.Reading)
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	if found.Readable {
		writeRow(out, []string{"timeframe", found.Timeframe})
		writeRow(out, []string{"calendar", strconv.Itoa(found.Calendar) + " days a year"})
		writeRow(out, []string{"sha256", found.SHA256})
		writeRow(out, []string{"", "open", "high", "low", "close", "volume"})
		for i, b := range append(slices.Clone(found.FirstBars), found.LastBars...) {
			if i == len(found.FirstBars) {
				writeRow(out, []string{"…"})
			}
			row := []string{b.Time.Format(time.RFC3339)}
			for _, v := range []float64{b.Open, b.High, b.Low, b.Close, b.Volume} {
				row = append(row, strconv.FormatFloat(v, 'f', -1, 64))
			}
			writeRow(out, row)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(found.Questions) == 0 {
		return nil
	}
	for _, q := range found.Questions {
		fmt.Fprintf(env.stdout, "question: --%s %s: %s\n", strings.ReplaceAll(q.Option, "_", "-"), strings.Join(q.Choices, "|"), printable(q.Reason))
	}
	return fmt.Errorf("the file leaves %d questions open", len(found.Questions))
}

// writeReading shows what a file was taken for.
func writeReading(w io.Writer, r *types.Reading) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			writeRow(out, []string{name, printable(value)})
		}
	}
	row("layout", strings.Join(slices.DeleteFunc([]string{r.Layout, r.Format, r.Compression, r.Encoding, r.Delimiter}, func(s string) bool { return s == "" || s == "none" }), ", "))
	var columns []string
	for _, ours := range slices.Sorted(maps.Keys(r.Columns)) {
		columns = append(columns, ours+"="+r.Columns[ours])
	}
	row("columns", strings.Join(columns, ", "))
	row("ignored", strings.Join(r.Ignored, ", "))
	row("times", strings.TrimSpace(r.TimeFormat+" "+r.DateOrder))
	if r.TimeZone != "" {
		row("time zone", r.TimeZone+" ("+r.ZoneFrom+")")
	}
	row("order", r.Order)
	row("marks", strings.TrimSpace("decimal "+r.DecimalMark+" "+r.Thousands))
	row("prices", fmt.Sprintf("%s, scale %v", r.Adjusted, r.PriceScale))
	row("instrument", r.Ticker)
	row("rows", fmt.Sprintf("%d, of which %d are bars", r.Rows, r.Bars))
	for _, d := range r.Dropped {
		row("dropped", fmt.Sprintf("%d rows from row %d: %s", d.Rows, d.FirstRow, d.Reason))
	}
	for _, text := range slices.Concat(r.Guesses, r.Notes) {
		row("note", text)
	}
	_ = out.Flush() // a terminal that is gone is found out by the next write
}
