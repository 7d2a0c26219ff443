package pricefile

import (
	"fmt"
	"strconv"
	"strings"
)

// mapping holds, for each slot, the index of its column in the file, or -1.
type mapping [slotCount]int

func noColumns() mapping {
	var m mapping
	for slot := range m {
		m[slot] = -1
	}
	return m
}

// mapColumns finds the columns of the slots by their names. row is where the names stand: 0 in a Parquet
// file. clocks says which columns hold times of day alone.
func mapColumns(names []string, row int, stated string, clocks func(column int) bool) (mapping, error) {
	m := noColumns()
	if stated != "" {
		if err := m.state(stated, names); err != nil {
			return m, err
		}
	}
	ranks := map[int]int{}
	for i, name := range names {
		if m.uses(i) {
			continue
		}
		name = normal(name)
		for slot := range slotCount {
			rank := rankOf(slot, name)
			if strings.HasPrefix(name, "volume_") && slot == slotVolume && rank < 0 {
				rank = 50 + i // "Volume BTC" and "Volume USDT": the first is in the base currency
			}
			if rank < 0 {
				continue
			}
			if slot == slotTime && clocks != nil && clocks(i) {
				slot = slotClock
			}
			before, taken := ranks[slot]
			switch {
			case m[slot] >= 0 && !taken: // stated
			case m[slot] >= 0 && before == rank:
				return m, &QuestionError{[]Question{{
					Option: "columns", Row: row,
					Reason: fmt.Sprintf("%q and %q are both the %s: say which, as in columns=%s=%d", clip(names[m[slot]]), clip(names[i]), slotNames[slot], slotNames[slot], i+1),
				}}}
			case m[slot] < 0 || rank < before:
				m[slot], ranks[slot] = i, rank
			}
			break
		}
	}
	if m[slotTime] < 0 {
		m[slotTime] = unnamedTime(names, m)
	}
	return m, m.complete(names, row)
}

// state puts in what the option columns says.
func (m *mapping) state(stated string, names []string) error {
	pairs, err := parseColumns(stated)
	if err != nil {
		return err
	}
	for ours, theirs := range pairs {
		at := -1
		for i, name := range names {
			if strings.EqualFold(strings.TrimSpace(name), theirs) {
				at = i
				break
			}
		}
		if n, err := strconv.Atoi(theirs); at < 0 && err == nil && n >= 1 && n <= len(names) {
			at = n - 1
		}
		if at < 0 {
			return ask("columns", 0, nil, "the file has no column %q: it has %s", clip(theirs), listNames(names))
		}
		m[slotOf(ours)] = at
	}
	return nil
}

func (m *mapping) uses(column int) bool {
	for _, at := range m {
		if at == column {
			return true
		}
	}
	return false
}

// unnamedTime is the index that pandas writes without a name or as a level, or -1.
func unnamedTime(names []string, m mapping) int {
	for i, name := range names {
		switch n := normal(name); {
		case m.uses(i):
		case i == 0 && (n == "" || n == "unnamed_0"), n == "index", strings.HasPrefix(n, "index_level_"), n == "level_0":
			return i
		}
	}
	return -1
}

// complete names what is missing.
func (m *mapping) complete(names []string, row int) error {
	var missing []string
	for _, slot := range []int{slotTime, slotOpen, slotHigh, slotLow, slotClose} {
		if m[slot] < 0 {
			missing = append(missing, slotNames[slot])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return ask("columns", row, nil, "missing columns %s; the file has %s: say which they are, as in columns=%s=NAME",
		strings.Join(missing, ", "), listNames(names), missing[0])
}

// spell returns the file's name of each slot's column, or its number where it has none.
func (m *mapping) spell(names []string, header bool) (spelt [slotCount]string, columns map[string]string, ignored []string) {
	columns = map[string]string{}
	for slot, at := range m {
		if at < 0 {
			continue
		}
		spelt[slot] = clip(names[at])
		if !header || spelt[slot] == "" {
			spelt[slot] = strconv.Itoa(at + 1)
		}
		columns[slotNames[slot]] = spelt[slot]
	}
	const most = 50
	for i, name := range names {
		if !m.uses(i) && header && len(ignored) < most {
			ignored = append(ignored, clip(name))
		}
	}
	return spelt, columns, ignored
}

func listNames(names []string) string {
	const most = 20
	quoted := make([]string, 0, most+1)
	for i, name := range names {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", clip(name)))
	}
	return strings.Join(quoted, ", ")
}

// clip cuts text from a file to a length fit for a message.
func clip(s string) string {
	const most = 40
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
