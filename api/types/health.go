package types

// Status is the answer of /healthz.
type Status struct {
	Status string `json:"status"`
}

// Version is the answer of /version.
type Version struct {
	Version string `json:"version"`
}
