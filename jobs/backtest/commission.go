package backtest

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Commission is a fraction of the traded value. In JSON it is a number or the name of a preset.
type Commission float64

// CommissionPreset is a commission of usual size, by name.
type CommissionPreset struct {
	Name       CommissionName
	Commission Commission // each side
	Doc        string
}

// CommissionName is the name of a preset.
type CommissionName string

// CommissionPresets lists the presets. They are round figures of the usual size, not the tariff of
// any broker or exchange.
func CommissionPresets() []CommissionPreset {
	return []CommissionPreset{
		{"none", 0, "no commission"},
		{"futures", 0.00002, "index futures: some 2 dollars a contract of 100,000"},
		{"fx", 0.00003, "currencies without a mark-up: 3 dollars on 100,000"},
		{"stocks", 0.0001, "large stocks: half a cent on a share of 50 dollars"},
		{"crypto_maker", 0.0002, "perpetual futures on crypto-currencies, resting orders"},
		{"crypto_taker", 0.0005, "perpetual futures on crypto-currencies, market orders"},
		{"crypto_spot", 0.001, "crypto-currencies, spot"},
		{"retail", 0.002, "the default: a small account that pays a spread too"},
	}
}

// CommissionNames are the names of the presets.
func CommissionNames() []CommissionName {
	var names []CommissionName
	for _, p := range CommissionPresets() {
		names = append(names, p.Name)
	}
	return names
}

// MarshalJSON writes the fraction.
func (c Commission) MarshalJSON() ([]byte, error) { return json.Marshal(float64(c)) }

// UnmarshalJSON reads a fraction or the name of a preset. The fraction is what is stored.
func (c *Commission) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	if data[0] != '"' {
		v, err := strconv.ParseFloat(string(data), 64)
		if err != nil {
			return fmt.Errorf("must be a fraction or one of %v", CommissionNames())
		}
		*c = Commission(v)
		return nil
	}
	var name CommissionName
	if err := json.Unmarshal(data, &name); err != nil {
		return err
	}
	for _, p := range CommissionPresets() {
		if p.Name == name {
			*c = p.Commission
			return nil
		}
	}
	return fmt.Errorf("%q is not a preset: must be a fraction or one of %v", name, CommissionNames())
}

// JSONForms gives the API's document both forms: a number or a name.
func (Commission) JSONForms() []any { return []any{0.0, CommissionName("")} }
