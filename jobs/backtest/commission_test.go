package backtest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

func TestCommissionIsAFractionOrAPreset(t *testing.T) {
	t.Parallel()
	read := func(text string) (backtest.Account, error) {
		account := backtest.DefaultAccount()
		err := json.Unmarshal([]byte(`{"commission":`+text+`}`), &account)
		return account, err
	}
	for _, preset := range backtest.CommissionPresets() {
		account, err := read(`"` + string(preset.Name) + `"`)
		require.NoError(t, err)
		require.Equal(t, preset.Commission, account.Commission)
		cfg := defaults(backtest.SideBoth)
		cfg.Account = account
		require.Empty(t, cfg.Validate(), preset.Name)
		stored, err := json.Marshal(account)
		require.NoError(t, err)
		var back backtest.Account
		require.NoError(t, json.Unmarshal(stored, &back))
		require.Equal(t, account, back)
	}
	for text, want := range map[string]backtest.Commission{"0.0007": 0.0007, "0": 0, "null": 0.002} {
		account, err := read(text)
		require.NoError(t, err)
		require.Equal(t, want, account.Commission)
	}
	for _, text := range []string{`"cheap"`, `""`, `true`, `[]`, `{}`} {
		_, err := read(text)
		require.ErrorContains(t, err, "crypto_taker", text)
	}
}
