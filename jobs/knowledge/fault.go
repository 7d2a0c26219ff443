package knowledge

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Error implements error.
func (f *Fault) Error() string {
	text := fmt.Sprintf("%s: %s", f.Part, f.Kind)
	if f.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", f.Status)
	}
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

// Unwrap implements errors.Unwrap.
func (f *Fault) Unwrap() error { return f.Err }

// Temporary reports whether the same call may succeed later.
func (f *Fault) Temporary() bool {
	switch f.Kind {
	case FaultTimeout, FaultRateLimit, FaultUnreachable, FaultProvider:
		return true
	}
	return false
}

// AsFault returns err as a Fault of the part. An error that is one already keeps what it says, one
// of time is a FaultTimeout, one of the network a FaultUnreachable. It is nil for nil.
func AsFault(part string, err error) *Fault {
	if err == nil {
		return nil
	}
	var known *Fault
	if errors.As(err, &known) {
		return known
	}
	f := &Fault{Kind: FaultProvider, Part: part, Err: err}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		f.Kind = FaultTimeout
	case errors.As(err, &network):
		f.Kind = FaultUnreachable
	}
	return f
}

// Reason is why an answer was given without an LLM. The empty Reason is that of an answer that
// was not.
type Reason string

// The reasons.
const (
	ReasonTimeout      Reason = "llm_timeout"
	ReasonUnconfigured Reason = "llm_unconfigured"
	ReasonError        Reason = "llm_error"
	ReasonRateLimit    Reason = "llm_rate_limit"
)

// Reasons lists the reasons.
func Reasons() []Reason {
	return []Reason{ReasonTimeout, ReasonUnconfigured, ReasonError, ReasonRateLimit}
}

// ReasonOf is the reason for doing without an LLM whose call failed with err; "" for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	switch AsFault("llm", err).Kind {
	case FaultTimeout:
		return ReasonTimeout
	case FaultRateLimit:
		return ReasonRateLimit
	case FaultUnconfigured:
		return ReasonUnconfigured
	}
	return ReasonError
}

// Sentence is the reason for users: without addresses, keys or providers.
func (r Reason) Sentence() string {
	switch r {
	case "":
		return ""
	case ReasonTimeout:
		return "The language model took too long, so this answer quotes the sources instead."
	case ReasonUnconfigured:
		return "No language model is set up, so this answer quotes the sources."
	case ReasonRateLimit:
		return "The language model is over its rate limit, so this answer quotes the sources instead."
	}
	return "The language model failed, so this answer quotes the sources instead."
}
