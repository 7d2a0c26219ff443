package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

const variantBase = `{"dataset":"sp500","strategy_name":"sma_cross","oos_ratio":0.3,"stops":{"stop_pct":5,"target_pct":10},
	"param_space":{"fast":[5,10]},"account":{"commission":0.002}}`

func values(texts ...string) (all []jsontext.Value) {
	for _, text := range texts {
		all = append(all, jsontext.Value(text))
	}
	return all
}

func TestVariantsBaselineFirstThenOverridesGridAblations(t *testing.T) {
	t.Parallel()
	variants, errs := Variants(jsontext.Value(variantBase), Variations{
		Overrides: values(`{"side":"long"}`, `{"oos_ratio":0.30,"account":{"commission":2e-3}}`, `{"stops":null}`),
		Grid:      map[string][]jsontext.Value{"account.commission": values("0", "0.002"), "oos_ratio": values("0.2", "0.3")},
		Ablations: []string{"stops", "stops.target_pct"},
	})
	require.Empty(t, errs)
	type row struct{ kind, overrides string }
	var got []row
	for _, v := range variants {
		got = append(got, row{v.Kind, string(v.Overrides)})
		require.Len(t, v.ID, 16)
	}
	require.Equal(t, []row{
		{VariantBaseline, `{}`},
		{VariantOverride, `{"side":"long"}`}, // the second override says what the base says
		{VariantOverride, `{"stops":null}`},  // and the ablation of stops comes to the same
		{VariantGrid, `{"account":{"commission":0},"oos_ratio":0.2}`},
		{VariantGrid, `{"account":{"commission":0}}`},
		{VariantGrid, `{"oos_ratio":0.2}`}, // the fourth point of the grid is the base
		{VariantAblation, `{"stops":{"target_pct":null}}`},
	}, got)
	require.Equal(t, "account.commission=0, oos_ratio=0.2", variants[3].Label)
	require.Equal(t, "without stops.target_pct", variants[6].Label)
	require.NotContains(t, string(variants[2].Body), "stops")
	require.JSONEq(t, `{"dataset":"sp500","strategy_name":"sma_cross","oos_ratio":0.3,"stops":{"stop_pct":5},
		"param_space":{"fast":[5,10]},"account":{"commission":0.002}}`, string(variants[6].Body))
}

// The id is that of the canonical form (RFC 8785): spacing, order and spelling of numbers do not matter.
func TestVariantIDsAreCanonical(t *testing.T) {
	t.Parallel()
	a, errs := Variants(jsontext.Value(`{"seed":1,"dataset":"x"}`), Variations{Overrides: values(`{"side":"long","seed":2}`)})
	require.Empty(t, errs)
	b, errs := Variants(jsontext.Value(` {"dataset":"x", "seed":1.0}`), Variations{Overrides: values(`{"seed":2e0, "side":"long"}`)})
	require.Empty(t, errs)
	require.Equal(t, []string{a[0].ID, a[1].ID}, []string{b[0].ID, b[1].ID})
	sum := sha256.Sum256([]byte(`{"base":{"dataset":"x","seed":1},"overrides":{"seed":2,"side":"long"}}`))
	require.Equal(t, hex.EncodeToString(sum[:])[:16], a[1].ID)
}

func TestInvalidVariationsNameTheField(t *testing.T) {
	t.Parallel()
	many := values()
	for range 11 {
		many = append(many, jsontext.Value("1"))
	}
	for field, v := range map[string]Variations{
		"overrides[0]": {Overrides: values(`[1]`)},
		"grid.seed":    {Grid: map[string][]jsontext.Value{"seed": {}}},
		"grid":         {Grid: map[string][]jsontext.Value{"a": many, "b": many}},
		"ablations[0]": {Ablations: []string{"gates"}},
		"overrides":    {Overrides: make([]jsontext.Value, 0), Grid: map[string][]jsontext.Value{"a": append(append(many, many...), append(many, many...)...), "b": values("1", "2")}, Ablations: manyPaths(13)},
	} {
		_, errs := Variants(jsontext.Value(variantBase), v)
		require.NotEmpty(t, errs, field)
		require.Equal(t, field, errs[0].Field)
	}
}

func manyPaths(n int) (paths []string) {
	for range n {
		paths = append(paths, "stops")
	}
	return paths
}
