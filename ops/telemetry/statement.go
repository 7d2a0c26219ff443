package telemetry

import "strings"

// statementName is what a statement does and to which table, as in "INSERT tunes": the name of its span.
// Statements' texts may hold values, names of tables do not.
func statementName(sql string) string {
	for sql = strings.TrimSpace(sql); strings.HasPrefix(sql, "--"); sql = strings.TrimSpace(sql) { // as River's begin
		_, sql, _ = strings.Cut(sql, "\n")
	}
	verb, rest := nextWord(sql)
	verb = strings.ToUpper(verb)
	switch verb {
	case "":
		return "SQL"
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
	default:
		return verb
	}
	previous := verb
	for i := 0; i < 200; i++ { // words: a table comes early
		var word string
		if word, rest = nextWord(rest); word == "" {
			break
		}
		follows := previous == "UPDATE" || strings.EqualFold(previous, "from") || strings.EqualFold(previous, "into")
		if follows && isName(word) {
			return verb + " " + word
		}
		previous = word
	}
	return verb
}

// nextWord cuts the next word off a statement: what is between blanks and punctuation.
func nextWord(sql string) (word, rest string) {
	start := strings.IndexFunc(sql, inWord)
	if start < 0 {
		return "", ""
	}
	sql = sql[start:]
	if end := strings.IndexFunc(sql, func(r rune) bool { return !inWord(r) }); end >= 0 {
		return sql[:end], sql[end:]
	}
	return sql, ""
}

func inWord(r rune) bool {
	return r == '_' || r == '.' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// isName reports whether a word is a table's, and not a value or a keyword.
func isName(word string) bool {
	return word[0] >= 'a' && word[0] <= 'z' && len(word) < 64 && word == strings.ToLower(word) && word != "select" && word != "lateral"
}
