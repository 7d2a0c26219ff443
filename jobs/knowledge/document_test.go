package knowledge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

func TestPositionReadsAsACitation(t *testing.T) {
	t.Parallel()
	at := func(s float64) *float64 { return &s }
	for want, position := range map[string]knowledge.Position{
		"":                {},
		"p. 3":            {Page: 3, PageEnd: 3},
		"p. 3–4":          {Page: 3, PageEnd: 4},
		"line 7":          {Line: 7},
		"lines 7–9":       {Line: 7, LineEnd: 9},
		"0:00–0:59":       {StartSeconds: at(0), EndSeconds: at(59.9)},
		"12:05–13:10":     {StartSeconds: at(725), EndSeconds: at(790)},
		"1:02:03–1:02:04": {StartSeconds: at(3723), EndSeconds: at(3724)},
		"5:00":            {StartSeconds: at(300), EndSeconds: at(300.5)},
	} {
		require.Equal(t, want, position.String())
	}
}
