package backtest

// Engine numbers the rules by which results are made: fills, metrics, searches, selection. Any change
// that gives other results for the same bars and request raises it; tests with the hashes of results hold
// it to that. Results of two numbers are never put side by side.
const Engine = "6"

// Stamp says which rules made a result.
type Stamp struct {
	Engine    string `json:"engine"`    // Engine of the program; "": made before results were stamped
	Semantics string `json:"semantics"` // pine.Semantics of a script's; "": not a script
}

// Known reports whether the result is stamped.
func (s Stamp) Known() bool { return s.Engine != "" }

// Before reports whether the stamp's rules are older than those of another. A stamp that is not known is
// older than any.
func (s Stamp) Before(other Stamp) bool {
	if s.Engine != other.Engine {
		return olderNumber(s.Engine, other.Engine)
	}
	return s.Semantics != other.Semantics && olderNumber(s.Semantics, other.Semantics)
}

// olderNumber compares two numbers written without leading zeros.
func olderNumber(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
