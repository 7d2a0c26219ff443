package types

import "embed"

//go:embed *.go
var source embed.FS

// Source is this package's own text: the API's document describes members by their comments.
func Source() embed.FS { return source }
