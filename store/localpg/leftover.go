package localpg

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// throwawayName begins the names of the folders that Start makes for throwaway clusters.
const throwawayName = "millrace-postgres-"

// temporaryName is the file that marks a cluster which nobody keeps.
const temporaryName = "temporary"

// clearLeftovers removes clusters that nothing can use again and that would fill the disk: throwaway and temporary ones of
// killed processes, and those kept away from a temporary folder that is gone. It is best effort: what it may not
// remove, another user's for instance, stays. A cluster away from any other folder is never removed, because that
// folder may be on a disk that is not mounted now; it is only named.
func clearLeftovers(ctx context.Context, logger *slog.Logger) {
	throwaways, _ := filepath.Glob(filepath.Join(os.TempDir(), throwawayName+"*"))
	for _, home := range throwaways {
		clearThrowaway(ctx, home, logger)
	}
	marks, _ := filepath.Glob(filepath.Join(os.TempDir(), "millrace-*", "*", temporaryName))
	for _, mark := range marks {
		clearThrowaway(ctx, filepath.Dir(mark), logger)
	}
	kept, _ := filepath.Glob(filepath.Join(away, "postgres-*"))
	for _, root := range kept {
		clearAway(ctx, root, logger)
	}
}

// clearThrowaway removes a throwaway cluster whose process is gone. A folder without the process's number is one
// that another process is only making.
func clearThrowaway(ctx context.Context, home string, logger *slog.Logger) {
	lock, err := os.Open(filepath.Join(home, "lock"))
	if err != nil {
		return
	}
	defer func() { _ = lock.Close() }()
	text, err := os.ReadFile(lock.Name())
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || alive(pid) || syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return
	}
	d := &dir{home: home, root: home}
	if to, err := os.ReadFile(d.path("location")); err == nil {
		if d.root = strings.TrimSpace(string(to)); !standsFor(home, d.root) {
			return
		}
	}
	discard(ctx, d, logger)
}

// standsFor reports whether the folder stands for the cluster in root. A temporary folder is anybody's, so what it says of another
// one counts only where that one says the same, and is where clusters are kept away.
func standsFor(home, root string) bool {
	text, err := os.ReadFile(filepath.Join(root, "home"))
	return err == nil && filepath.Dir(root) == away && strings.TrimSpace(string(text)) == home
}

// clearAway removes the cluster in root if the folder that stood for it is gone and was a temporary one, or if the cluster is
// marked as one that nobody keeps and its process is gone.
func clearAway(ctx context.Context, root string, logger *slog.Logger) {
	text, err := os.ReadFile(filepath.Join(root, "home"))
	if err != nil {
		return
	}
	lock, err := lockRoot(root, syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil { // in use, also where the process that uses it is not seen, or another user's
		return
	}
	defer func() { _ = lock.Close() }()
	home := strings.TrimSpace(string(text))
	owner, err := os.ReadFile(filepath.Join(root, temporaryName))
	marked := err == nil
	if pid, err := strconv.Atoi(strings.TrimSpace(string(owner))); marked && (err != nil || alive(pid)) {
		return
	}
	if to, err := os.ReadFile(filepath.Join(home, "location")); err == nil && strings.TrimSpace(string(to)) == root {
		if marked {
			clearThrowaway(ctx, home, logger)
		}
		return
	}
	if inside, err := filepath.Rel(os.TempDir(), home); !marked && (err != nil || !filepath.IsLocal(inside)) {
		logger.Warn("the folder that stood for a postgres cluster is gone: remove the cluster if its data is not needed",
			"folder", home, "cluster", root)
		return
	}
	discard(ctx, &dir{home: root, root: root}, logger)
}

func discard(ctx context.Context, d *dir, logger *slog.Logger) {
	if err := stopLeftover(ctx, d.pgdata(), logger); err != nil {
		logger.Warn("a leftover postgres cluster stays", "cluster", d.root, "error", err)
		return
	}
	if err := d.remove(); err != nil {
		logger.Warn("a leftover postgres cluster stays", "cluster", d.root, "error", err)
		return
	}
	logger.Info("removed a leftover postgres cluster", "cluster", d.root)
}
