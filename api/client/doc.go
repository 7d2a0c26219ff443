// Package client speaks to a Millrace server over HTTP, with the types of package types.
//
// Every method takes a context first and can be called from several goroutines. A request that may
// safely be repeated is sent again while the server cannot be reached, is starting, or asks for
// patience (429, 502, 503, 504, and 409 with Retry-After), after the time the server names, up to
// Options.Attempts times. Reads may always be repeated; what creates work carries an idempotency
// key, the caller's or one made for the call, which all its attempts share, so it is done once. What
// is neither is sent once.
//
// An answer other than a success is an *Error, which holds the server's problem+json.
package client
