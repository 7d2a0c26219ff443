package types

import "encoding/json"

// List is a page of items.
type List[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"` // for the page after this one; null on the last
}

// Stored is a T that the server passes on in the bytes in which it was stored, so that the same
// result reads the same whenever it is asked for. A client reads Value.
type Stored[T any] struct {
	Value T
	raw   json.RawMessage
}

// NewStored makes a Stored of JSON that was made of a T, without decoding it; nil is null.
func NewStored[T any](raw []byte) Stored[T] {
	if raw == nil {
		raw = []byte("null")
	}
	return Stored[T]{raw: raw}
}

// MarshalJSON implements json.Marshaler.
func (s Stored[T]) MarshalJSON() ([]byte, error) {
	if s.raw != nil {
		return s.raw, nil
	}
	return json.Marshal(s.Value)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Stored[T]) UnmarshalJSON(raw []byte) error {
	var value T
	if err := json.Unmarshal(raw, &value); err != nil {
		return err
	}
	*s = Stored[T]{Value: value, raw: append(json.RawMessage(nil), raw...)}
	return nil
}

// JSON is the value's JSON as it was stored or received; nil when there was none.
func (s Stored[T]) JSON() json.RawMessage { return s.raw }

// IsZero reports whether a member that may be left out is left out.
func (s Stored[T]) IsZero() bool { return s.raw == nil || string(s.raw) == "null" }

// JSONForms names the shape for the API's document.
func (Stored[T]) JSONForms() []any {
	var shape T
	return []any{shape}
}
