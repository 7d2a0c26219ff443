package migrations_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

func TestEveryTriggerIsListedInThePackageComment(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var listed []string
	for _, item := range regexp.MustCompile(`(?m)^//   - ([\w., ]+):`).FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, strings.Split(item[1], ", ")...)
	}
	rows, err := pgtest.New(t).OwnerPool(t).Query(t.Context(), `
		select c.relname || '.' || t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
		 where not t.tgisinternal and c.relnamespace = 'public'::regnamespace and t.tgparentid = 0`)
	require.NoError(t, err)
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, there, listed)
}
