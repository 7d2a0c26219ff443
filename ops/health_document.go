package ops

import "time"

// HealthDocument is an overview as programs read it.
type HealthDocument struct {
	Status     Status              `json:"status"`
	Version    string              `json:"version"`
	CheckedAt  time.Time           `json:"checked_at"`
	Components []ComponentDocument `json:"components"`
}

// ComponentDocument is one component of it.
type ComponentDocument struct {
	Name    string         `json:"name"`
	Status  Status         `json:"status"`
	Summary string         `json:"summary"`
	Advice  string         `json:"advice,omitempty"`
	Runbook string         `json:"runbook,omitempty"`
	TookMS  float64        `json:"took_ms"`
	Details map[string]any `json:"details"`
}

// Document is the overview of a version.
func (o Overview) Document(version string) HealthDocument {
	d := HealthDocument{Status: o.Status, Version: version, CheckedAt: o.At, Components: []ComponentDocument{}}
	for _, c := range o.Components {
		details := map[string]any{}
		for _, detail := range c.Details {
			details[detail.Name] = detail.Value
		}
		d.Components = append(d.Components, ComponentDocument{
			Name: c.Name, Status: c.Status, Summary: c.Summary, Advice: c.Advice, Runbook: c.Runbook,
			TookMS: float64(c.Took.Microseconds()) / 1000, Details: details,
		})
	}
	return d
}
