package extract

import (
	"regexp"
	"slices"
	"strconv"
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

// PineFinding is what lint has to say of a line; line 0 is the whole script.
type PineFinding struct {
	Code    string `json:"code"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// The versions of Pine Script that there are.
const pineOldest, pineNewest = 1, 6

// maxPineLines is the length over which lint suggests a library.
const maxPineLines = 500

// TradingView compiles no script of over 100,000 tokens; these bounds are far above it.
const (
	maxPineBytes = 2 << 20
	maxFindings  = 200 // of a kind
	maxInputs    = 1000
)

var (
	pineVersion     = regexp.MustCompile(`(?m)^[ \t]*//[ \t]*@version[ \t]*=[ \t]*([^\s]*)`)
	pineDeclaration = regexp.MustCompile(`(?m)^[ \t]*(indicator|strategy|library|study)[ \t]*\(`)
	pineInput       = regexp.MustCompile(`(?m)^[ \t]*(?:(?:var|varip|const|input|simple|series)[ \t]+)*(?:(?:int|float|bool|string|color)[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*input(?:\.(\w+))?[ \t]*\(`)
	pineLookahead   = regexp.MustCompile(`\bbarmerge\.lookahead_on\b`)
	pineSecurity    = regexp.MustCompile(`(^|[^.\w])security[ \t]*\(`)
	pineExport      = regexp.MustCompile(`(?m)^[ \t]*export\b`)
)

// Pine reads Pine Script: its text in blocks of lines that belong together, and as metadata its
// version, declaration, inputs and lint. A script that lint faults is ingested all the same.
func Pine(data []byte, name string) (*knowledge.Extracted, error) {
	if len(data) > maxPineBytes {
		return nil, knowledge.Rejectf("the script has %d bytes: the limit is %d", len(data), maxPineBytes)
	}
	source, err := decode(data)
	if err != nil {
		return nil, err
	}
	source = knowledge.Clean(source)
	if strings.TrimSpace(source) == "" {
		return nil, knowledge.Rejectf("the script is empty")
	}
	code := blanked(source) // same offsets, without comments and strings
	p := pineScript{source: source, code: code}
	p.read()
	e := &knowledge.Extracted{Title: p.title, Blocks: pineBlocks(source, code), Metadata: map[string]any{
		"version": p.version, "declaration": p.declaration, "inputs": append([]PineInput{}, p.inputs...),
		"lint": append([]PineFinding{}, p.lint...), "lines": p.lines,
	}}
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

type pineScript struct {
	source, code string
	version      int // 0: none that there is
	declaration  string
	title        string
	lines        int
	inputs       []PineInput
	lint         []PineFinding
}

func (p *pineScript) read() {
	p.lines = strings.Count(strings.TrimRight(p.source, "\n"), "\n") + 1
	p.readVersion()
	p.readDeclaration()
	p.readInputs()
	for _, at := range pineLookahead.FindAllStringIndex(p.code, maxFindings) {
		p.find("W002", p.lineOf(at[0]), "lookahead_on lets the script see the future: results will not repeat live")
	}
	for _, at := range pineSecurity.FindAllStringIndex(p.code, maxFindings) {
		p.find("W003", p.lineOf(at[1]-1), "security() is from before version 5: use request.security()")
	}
	if p.declaration != "library" {
		for _, at := range pineExport.FindAllStringIndex(p.code, maxFindings) {
			p.find("I001", p.lineOf(at[1]-1), "export has a meaning in a library only")
		}
	}
	if p.lines > maxPineLines {
		p.find("I002", 0, "the script has "+strconv.Itoa(p.lines)+" lines: over "+strconv.Itoa(maxPineLines)+" a library is easier to keep")
	}
	slices.SortStableFunc(p.lint, func(a, b PineFinding) int { return a.Line - b.Line })
}

func (p *pineScript) readVersion() {
	match := pineVersion.FindStringSubmatchIndex(p.source)
	if match == nil {
		p.find("E001", 0, "no //@version line: the script would run as version 1")
		return
	}
	text := p.source[match[2]:match[3]]
	version, err := strconv.Atoi(text)
	if err != nil || version < pineOldest || version > pineNewest {
		p.find("E002", p.lineOf(match[2]), "version "+strconv.Quote(knowledge.Line(text, 20))+" does not exist: 1 to 6 do")
		return
	}
	p.version = version
}

func (p *pineScript) readDeclaration() {
	match := pineDeclaration.FindStringSubmatchIndex(p.code)
	if match == nil {
		p.find("E003", 0, "no indicator(), strategy() or library() declares the script")
		return
	}
	p.declaration = p.code[match[2]:match[3]]
	args := p.arguments(match[1])
	p.title = unquoted(args.get("title", 0))
}

func (p *pineScript) readInputs() {
	for _, match := range pineInput.FindAllStringSubmatchIndex(p.code, maxInputs) {
		in := PineInput{Name: p.code[match[2]:match[3]], Line: p.lineOf(match[2])}
		if match[4] >= 0 {
			in.Type = p.code[match[4]:match[5]]
		}
		args := p.arguments(match[1])
		in.Default = knowledge.Line(args.get("defval", 0), 100)
		in.Title = knowledge.Line(unquoted(args.get("title", 1)), 200)
		in.Min, in.Max, in.Step = args.named["minval"], args.named["maxval"], args.named["step"]
		p.inputs = append(p.inputs, in)
	}
}

func (p *pineScript) find(code string, line int, message string) {
	p.lint = append(p.lint, PineFinding{code, line, message})
}

func (p *pineScript) lineOf(offset int) int { return 1 + strings.Count(p.source[:offset], "\n") }

// pineArguments are those of a call.
type pineArguments struct {
	placed []string
	named  map[string]string
}

func (a pineArguments) get(name string, place int) string {
	if value, ok := a.named[name]; ok {
		return value
	}
	if place < len(a.placed) {
		return a.placed[place]
	}
	return ""
}

// maxCall bounds the text of a call: an open bracket that nothing closes would make reading every
// input take the length of the script.
const maxCall = 4 << 10

// arguments reads the arguments of the call whose bracket opens before offset.
func (p *pineScript) arguments(offset int) pineArguments {
	args := pineArguments{named: map[string]string{}}
	end := min(len(p.code), offset+maxCall)
	depth, start := 0, offset
	add := func(upTo int) {
		text, masked := strings.TrimSpace(p.source[start:upTo]), p.code[start:upTo]
		name, _, named := strings.Cut(masked, "=")
		if named = named && !strings.HasPrefix(masked[len(name):], "==") && isName(strings.TrimSpace(name)); named {
			args.named[strings.TrimSpace(name)] = strings.TrimSpace(p.source[start+len(name)+1 : upTo])
		} else if text != "" {
			args.placed = append(args.placed, text)
		}
	}
	for i := offset; i < end; i++ {
		switch c := p.code[i]; {
		case c == '(' || c == '[':
			depth++
		case (c == ')' || c == ']') && depth > 0:
			depth--
		case c == ')':
			add(i)
			return args
		case c == ',' && depth == 0:
			add(i)
			start = i + 1
		}
	}
	return args // the call is never closed, or too long: what was read so far
}

func isName(text string) bool {
	for i, r := range text {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return text != ""
}

// unquoted is the text of a string literal, or "" of anything else.
func unquoted(literal string) string {
	if len(literal) < 2 || literal[0] != '"' && literal[0] != '\'' || literal[len(literal)-1] != literal[0] {
		return ""
	}
	return strings.NewReplacer(`\"`, `"`, `\'`, `'`, `\\`, `\`).Replace(literal[1 : len(literal)-1])
}

// blanked is the script with comments and the insides of strings made spaces, byte for byte.
func blanked(source string) string {
	out := []byte(source)
	var quote byte
	comment := false
	for i := 0; i < len(out); i++ {
		c := out[i]
		switch {
		case c == '\n':
			quote, comment = 0, false // neither goes over a line's end
		case comment:
			out[i] = ' '
		case quote != 0:
			if c == '\\' && i+1 < len(out) && out[i+1] != '\n' {
				out[i], out[i+1] = ' ', ' '
				i++
			} else if c == quote {
				quote = 0
			} else {
				out[i] = ' '
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '/' && i+1 < len(out) && out[i+1] == '/':
			comment = true
			out[i] = ' '
		}
	}
	return string(out)
}

// pineBlocks cuts a script at empty lines, but not within a function or branch: what is indented
// belongs to what is above it.
func pineBlocks(source, code string) []knowledge.Block {
	var blocks []knowledge.Block
	lines, bare := strings.Split(source, "\n"), strings.Split(code, "\n")
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
		indented := strings.HasPrefix(bare[i], " ") && strings.TrimSpace(bare[i]) != "" || strings.HasPrefix(lines[i], "\t")
		if strings.TrimSpace(lines[i-1]) == "" && strings.TrimSpace(lines[i]) != "" && !indented {
			add(i)
		}
	}
	add(len(lines))
	return blocks
}
