// Package requests holds requests for tunes and walk-forwards against their rules and their datasets, for the API,
// which answers what is wrong, and for the worker of schedules, which notes it. It changes nothing.
package requests

import (
	"errors"
	"fmt"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/strategies"
)

// Checker checks the requests of one database. It is safe for concurrent use.
type Checker struct {
	Market     *market.Store
	Strategies *strategies.Store
	// Remembered takes datasets from memory; what is checked so is submitted with their names, and checked again without
	// when it is wrong or its submission is store.ErrMoved.
	Remembered bool
}

// Fault is what is wrong with a request.
type Fault struct {
	Detail  string
	Missing bool // what it names is not there
	Fields  []invalid.FieldError
}

// Error implements error.
func (f *Fault) Error() string {
	text := f.Detail
	for i, field := range f.Fields {
		if i == 3 {
			return text + fmt.Sprintf(" And %d more.", len(f.Fields)-i)
		}
		text += " " + field.Error() + "."
	}
	return text
}

func invalidFields(fields ...invalid.FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return &Fault{Detail: "The request is not valid.", Fields: fields}
}

func invalidField(field, message string, limit any) error {
	return invalidFields(invalid.FieldError{Field: field, Message: message, Limit: limit})
}

// UnknownStrategy is the fault of a request for a strategy that is not there.
func UnknownStrategy(name string) error {
	if strategies.IsScript(name) {
		return invalidField("strategy_name", fmt.Sprintf("%q is not a script of this workspace; GET /strategies lists them", name), nil)
	}
	var known []string
	for _, strategy := range backtest.Strategies() {
		known = append(known, strategy.Name())
	}
	return invalidField("strategy_name", fmt.Sprintf("%q is unknown", name), known)
}

// NoDataset is the fault of a request for a dataset that is not there; another error stays as it is.
func NoDataset(field, name string, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &Fault{
		Detail: fmt.Sprintf("No dataset %.100q here; GET /datasets or `millrace data list` lists those there are.", name), Missing: true,
		Fields: []invalid.FieldError{{Field: field, Message: fmt.Sprintf("%q is not the id or name of a dataset here", name)}},
	}
}
