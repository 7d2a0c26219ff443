package console

import "slices"

// MoreSets are the datasets that can be chosen beside the first, those chosen marked. An exact version that was
// chosen is among them.
func (d tuneFormData) MoreSets() (sets []chosenSet) {
	for _, name := range d.Form.More {
		if d.Version(name) != "" {
			sets = append(sets, chosenSet{name, name, true})
		}
	}
	for _, set := range d.Datasets {
		chosen := slices.Contains(d.Form.More, set.Name) || slices.Contains(d.Form.More, set.DatasetID)
		sets = append(sets, chosenSet{set.Name, set.Name + " · " + plural(set.Bars, "bar") + " of " + string(set.Timeframe), chosen})
	}
	return sets
}

// chosenSet is a dataset of a list to choose several from.
type chosenSet struct {
	Name, Label string
	Chosen      bool
}
