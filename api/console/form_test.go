package console

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// The bars inside the bars are sent as they were chosen, and stand in the form of a tune to run again.
func TestTheTuneFormKeepsTheBarsInsideTheBars(t *testing.T) {
	t.Parallel()
	body, faults := tuneForm{Strategy: "sma_cross", Dataset: "days", Intrabar: "hours", Params: map[string]string{"fast": "5,10"}}.body()
	require.Empty(t, faults)
	require.Equal(t, "hours", body["intrabar_dataset"])
	body, _ = tuneForm{Strategy: "sma_cross", Dataset: "days"}.body()
	require.NotContains(t, body, "intrabar_dataset")

	const id = "0199a000-0000-7000-8000-000000000001"
	form, err := formOf(tune{Tune: types.Tune{Datasets: []string{"days"}, Spec: types.Spec{StrategyName: "sma_cross", IntrabarDataset: id}}})
	require.NoError(t, err)
	require.Equal(t, id, form.Intrabar)
	data := tuneFormData{Datasets: []types.Dataset{{Name: "hours", DatasetID: id}}}
	require.Empty(t, data.Version(id), "it is in the list")
	data.Datasets[0].DatasetID = "a later version"
	require.Equal(t, id, data.Version(id), "an earlier version is offered as it is")
}
