package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// parsed is what a command line gives with the variables of the test.
func parsed(t *testing.T, args ...string) (commands, error) {
	t.Helper()
	var cli commands
	parser, err := kong.New(&cli, kong.Resolvers(secretFiles{os.LookupEnv}))
	require.NoError(t, err)
	_, err = parser.Parse(args)
	return cli, err
}

func TestSecretsComeFromFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	for _, name := range []string{"ADMIN_TOKEN", "DATABASE_URL", "CREDENTIALS_DIRECTORY"} {
		t.Setenv(name, "")
	}
	t.Setenv("ADMIN_TOKEN_FILE", write("tokens", "first-token-0123456789\nnext-token-0123456789\n"))
	cli, err := parsed(t, "api")
	require.NoError(t, err)
	require.Equal(t, []string{"first-token-0123456789", "next-token-0123456789"}, strings.Fields(cli.API.AdminToken))
	cli, err = parsed(t, "api", "--admin-token", "of-the-flag-0123456789")
	require.NoError(t, err)
	require.Equal(t, "of-the-flag-0123456789", cli.API.AdminToken, "a flag goes before a file")

	// As systemd's LoadCredential=DATABASE_URL:… has it.
	write("DATABASE_URL", "postgres://from-a-credential/db\n")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	cli, err = parsed(t, "worker")
	require.NoError(t, err)
	require.Equal(t, "postgres://from-a-credential/db", cli.Worker.DatabaseURL)
	t.Setenv("DATABASE_URL", "postgres://from-the-environment/db")
	cli, err = parsed(t, "worker")
	require.NoError(t, err)
	require.Equal(t, "postgres://from-the-environment/db", cli.Worker.DatabaseURL, "a variable goes before a credential")

	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"config"}, &out, &errs), errs.String())
	require.Regexp(t, `(?m)^ADMIN_TOKEN +\(44 characters\) +`+filepath.Join(dir, "tokens"), out.String())
	require.NotContains(t, out.String(), "first-token")
}

func TestAFileOfASecretThatCannotBeReadIsNamed(t *testing.T) {
	dir := t.TempDir()
	empty, large := filepath.Join(dir, "empty"), filepath.Join(dir, "large")
	require.NoError(t, os.WriteFile(empty, []byte(" \n"), 0o600))
	require.NoError(t, os.WriteFile(large, make([]byte, maxSecret+1), 0o600))
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for _, test := range []struct{ token, file, want string }{
		{"", filepath.Join(dir, "nothing"), "no such file"}, {"", empty, "is empty"}, {"", large, "a secret has"},
		{"a-token-0123456789", empty, "are both set"},
	} {
		t.Setenv("ADMIN_TOKEN", test.token)
		t.Setenv("ADMIN_TOKEN_FILE", test.file)
		_, err := parsed(t, "api")
		require.ErrorContains(t, err, test.want)
		require.ErrorContains(t, err, "ADMIN_TOKEN_FILE")
	}
}
