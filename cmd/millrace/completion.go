package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd is the verb `completion`.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell to complete in: bash, zsh or fish."`
}

// Run prints a script that completes verbs and flags. It is made of the same model as the help.
func (c *completionCmd) Run(env *environment, parsed *kong.Kong) error {
	words := map[string][]string{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		at := strings.TrimPrefix(n.FullPath(), "millrace")
		at = strings.TrimSpace(strings.Join(slices.DeleteFunc(strings.Fields(at), func(word string) bool { return strings.HasPrefix(word, "<") }), " "))
		var next []string
		for _, child := range n.Children {
			if !child.Hidden {
				next = append(next, child.Name)
				walk(child)
			}
		}
		for _, flag := range n.Flags {
			if !flag.Hidden {
				next = append(next, "--"+flag.Name)
			}
		}
		words[at] = next
	}
	walk(parsed.Model.Node)
	verbs := make([]string, 0, len(words))
	for verb := range words {
		verbs = append(verbs, verb)
	}
	slices.Sort(verbs)
	var cases strings.Builder
	for _, verb := range verbs {
		if c.Shell == "fish" {
			fmt.Fprintf(&cases, "    case '%s'\n      printf '%%s\\n' %s\n", verb, strings.Join(words[verb], " "))
		} else {
			fmt.Fprintf(&cases, "    '%s') words='%s' ;;\n", verb, strings.Join(words[verb], " "))
		}
	}
	_, err := fmt.Fprintf(env.stdout, completionScripts()[c.Shell], cases.String())
	return err
}

// completionScripts find the verb that stands on the line, and offer what follows it.
func completionScripts() map[string]string {
	const bash = `# millrace completion bash: source it, or keep it in /etc/bash_completion.d/millrace
_millrace_words() {
  local words=''
  case "$1" in
%s  esac
  printf '%%s' "$words"
}
_millrace() {
  local verb='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    [[ $word == -* ]] && continue
    [[ " $(_millrace_words "$verb") " == *" $word "* ]] && verb="${verb:+$verb }$word"
  done
  COMPREPLY=($(compgen -W "$(_millrace_words "$verb")" -- "${COMP_WORDS[COMP_CWORD]}"))
  [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _millrace millrace
`
	return map[string]string{
		"bash": bash,
		"zsh":  "autoload -U +X bashcompinit && bashcompinit\n" + bash,
		"fish": `# millrace completion fish: keep it in ~/.config/fish/completions/millrace.fish
function __millrace_words
  switch "$argv[1]"
%s  end
end
function __millrace_complete
  set -l verb ''
  for word in (commandline -opc)[2..-1]
    string match -q -- '-*' $word; and continue
    contains -- $word (__millrace_words $verb); and set verb (string trim "$verb $word")
  end
  __millrace_words $verb
end
complete -c millrace -f -a '(__millrace_complete)'
`,
	}
}
