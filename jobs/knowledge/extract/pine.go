package extract

import (
	"regexp"
	"strings"

	"millrace/jobs/knowledge"
)

// PineInput is a setting that a script asks its user for.
type PineInput struct {
	Name    string `json:"name"`              // of the variable
	Type    string `json:"type"`              // int, float, bool, source, …; "" for a bare input()
	Title   string `json:"title,omitempty"`   // as the user sees it
	Default string `json:"default,omitempty"` // as it is written
	Min     string `json:"min,omitempty"`
	Max     string `json:"max,omitempty"`
	Step    string `json:"step,omitempty"`
	Line    int    `json:"line"`
}

// PineFinding is something to say of a line; line 0 is the whole script.
type PineFinding struct {
	Code    string `json:"code"`
	Line    int    `json:"line"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`
}

// PineFacts are what the language's front end says of a script.
type PineFacts struct {
	Version     int    // 0: none that there is
	Declaration string // indicator, strategy, library, study; "" for none
	Title       string
	Inputs      []PineInput
	Lint        []PineFinding
	Tunable     bool          // it can be made a strategy as it is
	Refusals    []PineFinding // why it cannot
}

// PineReader is the language's front end. It is total: whatever the text, it answers.
type PineReader func(source string) PineFacts

// TradingView compiles no script of over 100,000 tokens; this is far above it.
const maxPineBytes = 2 << 20

var (
	pineVersion     = regexp.MustCompile(`(?m)^[ \t]*//[ \t]*@version[ \t]*=[ \t]*([^\s]*)`)
	pineDeclaration = regexp.MustCompile(`(?m)^[ \t]*(indicator|strategy|library|study)[ \t]*\(`)
)

// The members of a script's metadata that others read.
const (
	PineScript   = "script" // its text, where it can be made a strategy
	PineTunable  = "tunable"
	PineRefusals = "refusals"
)

// Pine reads Pine Script: its text in blocks of lines that belong together, and as metadata what the
// front end says of it: version, declaration, inputs, lint, and whether it can be tuned. A script that lint
// faults is ingested all the same.
func Pine(data []byte, name string, read PineReader) (*knowledge.Extracted, error) {
	if len(data) > maxPineBytes {
		return nil, knowledge.Rejectf("the script has %d bytes: the limit is %d", len(data), maxPineBytes)
	}
	written, err := decode(data)
	if err != nil {
		return nil, err
	}
	source := knowledge.Clean(written)
	if strings.TrimSpace(source) == "" {
		return nil, knowledge.Rejectf("the script is empty")
	}
	facts := read(source)
	e := &knowledge.Extracted{Title: facts.Title, Blocks: pineBlocks(source), Metadata: map[string]any{
		"version": facts.Version, "declaration": facts.Declaration, "inputs": append([]PineInput{}, facts.Inputs...),
		"lint": append([]PineFinding{}, facts.Lint...), "lines": strings.Count(strings.TrimRight(source, "\n"), "\n") + 1,
		PineTunable: facts.Tunable, PineRefusals: append([]PineFinding{}, facts.Refusals...),
	}}
	if facts.Tunable {
		e.Metadata[PineScript] = source
	}
	if e.Title == "" {
		e.Title = titleOf(name, e.Blocks)
	}
	e.Tidy()
	return e, nil
}

// LooksLikePine reports whether text is Pine Script: it names a version, or declares a script.
func LooksLikePine(data []byte) bool {
	head := string(data[:min(len(data), 64<<10)])
	if pineVersion.MatchString(head) {
		return true
	}
	return pineDeclaration.MatchString(head) && strings.ContainsAny(head, "=\n")
}

// pineBlocks cuts a script at empty lines, but not within a function or branch: what is indented
// belongs to what is above it.
func pineBlocks(source string) []knowledge.Block {
	var blocks []knowledge.Block
	lines := strings.Split(source, "\n")
	start := 0
	add := func(end int) {
		if text := strings.Join(lines[start:end], "\n"); strings.TrimSpace(text) != "" {
			skipped := 0
			for strings.TrimSpace(lines[start+skipped]) == "" {
				skipped++
			}
			blocks = append(blocks, knowledge.Block{
				Text: strings.Join(lines[start+skipped:end], "\n"), Break: knowledge.BreakParagraph,
				Position: knowledge.Position{Line: start + skipped + 1},
			})
		}
		start = end
	}
	for i := 1; i < len(lines); i++ {
		indented := strings.HasPrefix(lines[i], " ") || strings.HasPrefix(lines[i], "\t")
		if strings.TrimSpace(lines[i-1]) == "" && strings.TrimSpace(lines[i]) != "" && !indented {
			add(i)
		}
	}
	add(len(lines))
	return blocks
}
