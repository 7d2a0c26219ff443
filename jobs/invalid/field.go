// Package invalid holds the error that names one invalid field of a request. It imports nothing of
// ours, so that the pure rooms report what the API answers.
package invalid

// FieldError says what is wrong with one field of a request, and the limit it breaks.
type FieldError struct {
	Field   string `json:"field"`   // its path by the names of the API, such as "account.cash"
	Message string `json:"message"` // reads on from the path: "must be from 1 to 10"
	Limit   any    `json:"limit,omitempty"`
}

// Error implements error.
func (e FieldError) Error() string { return e.Field + ": " + e.Message }
