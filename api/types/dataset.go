package types

import (
	"time"
)

// Dataset is a dataset.
type Dataset struct {
	DatasetID string    `json:"dataset_id"`
	Name      string    `json:"name"`      // names the newest version
	Version   int       `json:"version"`   // from 1
	FullName  string    `json:"full_name"` // of this version: the name of the first, NAME@N of later ones
	Symbol    string    `json:"symbol"`
	Timeframe string    `json:"timeframe"`
	Calendar  int       `json:"calendar"` // trading days a year
	Bars      int       `json:"bars"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	SHA256    string    `json:"sha256"`
	CreatedAt time.Time `json:"created_at"`
	Instrument
	Reading *Reading `json:"reading"` // how its file was read; null when that is not known
}

// DatasetVersion is one version of a dataset.
type DatasetVersion struct {
	Dataset
	Change    VersionChange `json:"change"`     // upload, append, rewrite or attributes
	AddedBars int           `json:"added_bars"` // after those of the version before
	Note      string        `json:"note"`       // what a rewrite changed
	Stale     bool          `json:"stale"`      // a later version was rewritten: results on this one are of replaced bars
	Results   ResultCounts  `json:"results"`
}

// ResultCounts counts what was computed on a dataset.
type ResultCounts struct {
	Tunes        int `json:"tunes"`
	WalkForwards int `json:"walk_forwards"`
	Runs         int `json:"runs"`
}

// ExtendedDataset is what became of bars that were sent for a dataset.
type ExtendedDataset struct {
	Dataset         Dataset      `json:"dataset"`          // its newest version
	Made            bool         `json:"made"`             // it was made of this; else all bars were there
	AddedBars       int          `json:"added_bars"`       // after the last one of before
	OverlappingBars int          `json:"overlapping_bars"` // sent and there already
	Note            string       `json:"note"`             // what a rewrite changed
	Stale           StaleResults `json:"stale"`            // by a rewrite
}

// StaleResults are results on bars that a rewrite replaced.
type StaleResults struct {
	ResultCounts
	IDs []string `json:"ids"` // the newest 100
}

// DatasetChange is the body of PATCH /datasets/:id: what is left out stays.
type DatasetChange struct {
	Calendar       *int     `json:"calendar,omitempty"`         // 252, 260 or 365
	PeriodsPerYear *float64 `json:"periods_per_year,omitempty"` // left out, and by the calendar so far: by the new one
	TimeZone       *string  `json:"time_zone,omitempty"`
	Session        *string  `json:"session,omitempty"`
	TickSize       *float64 `json:"tick_size,omitempty"`
	QuantityStep   *float64 `json:"quantity_step,omitempty"`
	PointValue     *float64 `json:"point_value,omitempty"`
	Currency       *string  `json:"currency,omitempty"`
}

// Instrument is what is known of a dataset's instrument beyond its prices; null and "" are unknown.
type Instrument struct {
	PeriodsPerYear *float64 `json:"periods_per_year"` // returns in a year, by which figures are annualised
	TimeZone       string   `json:"time_zone"`        // IANA name; days end by it
	Session        string   `json:"session"`          // HH:MM-HH:MM in that zone; one over midnight ends its day
	TickSize       *float64 `json:"tick_size"`        // smallest price step
	QuantityStep   *float64 `json:"quantity_step"`    // smallest step of a quantity
	PointValue     *float64 `json:"point_value"`      // money a price move of one makes for one unit
	Currency       string   `json:"currency"`
}

// Reading is what a file was taken for.
type Reading struct {
	Format       string            `json:"format"`
	Layout       string            `json:"layout"` // whose conventions it follows; plain
	Compression  string            `json:"compression"`
	Encoding     string            `json:"encoding,omitempty"`
	Delimiter    string            `json:"delimiter,omitempty"`
	DecimalMark  string            `json:"decimal_mark,omitempty"`
	Thousands    string            `json:"thousands,omitempty"`
	Header       bool              `json:"header"`  // the file names its columns
	Columns      map[string]string `json:"columns"` // ours to the file's names or numbers
	Ignored      []string          `json:"ignored,omitempty"`
	TimeFormat   string            `json:"time_format"`
	DateOrder    string            `json:"date_order,omitempty"`
	TimeZone     string            `json:"time_zone"`
	ZoneFrom     string            `json:"time_zone_from"` // file, layout, option, assumed or none
	Order        string            `json:"order"`          // ascending, descending or sorted
	PriceScale   float64           `json:"price_scale"`
	Adjusted     string            `json:"adjusted"` // raw or split_dividend
	Ticker       string            `json:"ticker,omitempty"`
	Tickers      []string          `json:"tickers,omitempty"`
	Timeframe    string            `json:"timeframe"`
	Rows         int               `json:"rows"`
	Bars         int               `json:"bars"`
	SkippedLines int               `json:"skipped_lines,omitempty"` // before the header or the first row
	Dropped      []DroppedRows     `json:"dropped,omitempty"`
	Guesses      []string          `json:"guesses,omitempty"` // of the calendar and the instrument
	Notes        []string          `json:"notes,omitempty"`
}

// DroppedRows counts rows that are not bars, for one reason.
type DroppedRows struct {
	Reason   string `json:"reason"`
	Rows     int    `json:"rows"`
	FirstRow int    `json:"first_row"`
}

// Inspection is how a file would be read.
type Inspection struct {
	Readable  bool       `json:"readable"`  // it could be stored as it is
	Questions []Question `json:"questions"` // to be answered before
	Reading   Reading    `json:"reading"`   // as far as it went
	Bars      int        `json:"bars"`
	Timeframe string     `json:"timeframe"`
	Calendar  int        `json:"calendar"`
	SHA256    string     `json:"sha256"`
	Instrument
	FirstBars []Bar `json:"first_bars"`
	LastBars  []Bar `json:"last_bars"`
}

// Question is what only the owner of a file can say.
type Question struct {
	Option  string   `json:"option"` // of the upload, that answers it
	Choices []string `json:"choices,omitempty"`
	Reason  string   `json:"reason"`
	Row     int      `json:"row,omitempty"`
}

// Bar is one bar.
type Bar struct {
	Time   time.Time `json:"time"`
	Open   float64   `json:"open"`
	High   float64   `json:"high"`
	Low    float64   `json:"low"`
	Close  float64   `json:"close"`
	Volume float64   `json:"volume"`
}
