package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// oldest is the first major version that has what the schema uses and is still maintained.
const oldest = 14

// places are where packages put the server's programs, which most keep out of PATH.
func places() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
		"/usr/pgsql-*/bin",                  // PostgreSQL's RPMs
		"/usr/libexec/postgresql*",          // Alpine
		"/usr/local/pgsql/bin",              // from source
		"/opt/homebrew/opt/postgresql*/bin", // macOS
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
}

// programs is a folder with initdb and postgres.
type programs struct {
	dir   string
	major int
}

// Find returns the folder with the newest Postgres server programs on the machine: in PATH, where
// pg_config points, or where packages put them. Versions before 14 are passed over.
func Find() (bindir string, ok bool) {
	found := findAll()
	if len(found) == 0 {
		return "", false
	}
	return found[0].dir, true
}

// findAll lists what is installed, newest first.
func findAll() []programs {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range places() {
		matches, _ := filepath.Glob(pattern) // errors only for a malformed pattern
		dirs = append(dirs, matches...)
	}
	var found []programs
	for _, dir := range dirs {
		if p, err := inspect(dir); err == nil && p.major >= oldest {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b programs) int { return b.major - a.major })
	return found
}

func inspect(dir string) (programs, error) {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return programs{}, err
		}
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return programs{}, fmt.Errorf("%s/postgres --version: %w", dir, err)
	}
	major, err := parseMajor(string(out))
	return programs{dir: dir, major: major}, err
}

// parseMajor reads the 15 out of "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", and the
// 19 of "19devel".
func parseMajor(version string) (int, error) {
	_, rest, ok := strings.Cut(version, "(PostgreSQL) ")
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	if major, err := strconv.Atoi(digits); ok && err == nil {
		return major, nil
	}
	return 0, fmt.Errorf("not a Postgres version: %q", version)
}

// binaries returns the programs to run the folder's cluster with: of the cluster's major version
// where there is one, else the newest; downloaded when the machine has none that fit.
func binaries(ctx context.Context, d *dir, want string, logger *slog.Logger) (string, error) {
	need, err := d.clusterMajor()
	if err != nil {
		return "", err
	}
	if want != "" {
		p, err := inspect(want)
		if err != nil {
			return "", fmt.Errorf("postgres programs: %w", err)
		}
		return p.dir, fits(p, need)
	}
	found := findAll()
	for _, p := range found {
		if fits(p, need) == nil && d.mayRun(p.dir) {
			return p.dir, nil
		}
	}
	if need != 0 && need != downloadMajor {
		return "", errors.Join(fmt.Errorf("no programs of PostgreSQL %d on this machine", need), fits(programs{major: downloadMajor}, need))
	}
	cache, err := d.cacheDir()
	if err != nil {
		return "", err
	}
	return Download(ctx, downloadSource, cache, logger)
}

func fits(p programs, need int) error {
	if need == 0 || p.major == need {
		return nil
	}
	return fmt.Errorf("the data folder was made by PostgreSQL %d; PostgreSQL %d cannot open it", need, p.major)
}

// clusterMajor is the major version the cluster was made by, 0 when there is none yet.
func (d *dir) clusterMajor() (int, error) {
	text, err := os.ReadFile(filepath.Join(d.pgdata(), "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("version of the cluster: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("version of the cluster: %w", err)
	}
	return major, nil
}

// mayRun reports whether the server's user can reach the programs.
func (d *dir) mayRun(bin string) bool { return d.as == nil || d.as.canEnter(bin) }

// cacheDir is where downloaded programs are kept: for root a place that the server's user can
// enter, which root's own folder is not.
func (d *dir) cacheDir() (string, error) {
	if d.as != nil {
		return "/var/cache/millrace", nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("folder for downloaded programs: %w", err)
	}
	return filepath.Join(cache, "millrace"), nil
}
