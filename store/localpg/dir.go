package localpg

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// away is where root keeps the clusters of folders that the server's user cannot enter, such as
// those below /root.
const away = "/var/lib/millrace"

// maxLog is the size in bytes at which the server's log starts afresh, keeping one old file.
const maxLog = 16 << 20

// account is the user a server runs as when we are root.
type account struct{ uid, gid uint32 }

// dir is the folder of one cluster, held by this process until close:
//
//	pgdata        the cluster
//	password      the superuser's, mode 0600
//	port          of the last start
//	postgres.log  the server's messages
//	lock          flocked while in use; holds the process id of its user
//	location      only in a folder that stands for one elsewhere: that one's path
//	home          only in that one: the path of the folder that stands for it
//	temporary     of a cluster that nobody keeps, in both folders: the process id of its user
type dir struct {
	home     string // as asked for; holds lock, and location where root is elsewhere
	root     string
	as       *account // nil: the server runs as we do
	lock     *os.File
	away     *os.File // the lock of root where it is elsewhere: who sees that folder may not see home
	password string
}

func (d *dir) path(name string) string { return filepath.Join(d.root, name) }
func (d *dir) pgdata() string          { return d.path("pgdata") }

// openDir makes the folder if need be, takes its lock, and sees to the password.
func openDir(path string) (*dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	d := &dir{home: root, root: root}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		err = d.chooseUser()
	}
	if err == nil && d.root != d.home {
		d.away, err = lockRoot(d.root, syscall.LOCK_SH) // waits for one who looks whether it is left over
	}
	if err == nil {
		err = d.ensurePassword()
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// mark says that nobody keeps the cluster once this process is gone.
func (d *dir) mark() error {
	for _, folder := range []string{d.root, d.home} {
		if err := os.WriteFile(filepath.Join(folder, temporaryName), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
			return fmt.Errorf("data folder: %w", err)
		}
	}
	return nil
}

// unmark says that the cluster is kept, also where it was started as one that is not.
func (d *dir) unmark() error {
	for _, folder := range []string{d.root, d.home} {
		if err := os.Remove(filepath.Join(folder, temporaryName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("data folder: %w", err)
		}
	}
	return nil
}

// close releases the locks.
func (d *dir) close() {
	_ = d.lock.Close()
	if d.away != nil {
		_ = d.away.Close()
	}
}

// lockRoot locks the folder of a cluster that is kept away from its home. In another container the home and the process may not be
// seen, and the cluster be taken for one that is left over.
func lockRoot(root string, how int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), how); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return lock, nil
}

// chooseUser decides, for root, which user the server runs as and where it can work.
func (d *dir) chooseUser() error {
	if to, err := os.ReadFile(d.path("location")); err == nil {
		d.root = strings.TrimSpace(string(to))
	}
	if info, err := os.Stat(d.pgdata()); err == nil {
		stat := info.Sys().(*syscall.Stat_t)
		if stat.Uid == 0 {
			return fmt.Errorf("%s belongs to root, as whom Postgres refuses to run", d.pgdata())
		}
		d.as = &account{uid: stat.Uid, gid: stat.Gid}
		return nil
	}
	as, err := unprivileged()
	if err != nil {
		return err
	}
	d.as = as
	if !as.canEnter(filepath.Dir(d.root)) {
		if err := d.moveAway(); err != nil {
			return err
		}
	}
	if err := os.Chmod(d.root, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if d.root == d.home {
		if err := d.give(d.path("lock")); err != nil {
			return err
		}
	}
	return d.give(d.root)
}

func (d *dir) moveAway() error {
	if err := os.MkdirAll(away, 0o711); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	to, err := os.MkdirTemp(away, "postgres-")
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := os.WriteFile(d.path("location"), []byte(to+"\n"), 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	// Written last: a cluster that names its folder is left over once that folder does not name it.
	if err := os.WriteFile(filepath.Join(to, "home"), []byte(d.home+"\n"), 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	d.root = to
	return nil
}

// unprivileged is the user postgres or, where there is none, nobody.
func unprivileged() (*account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &account{uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("postgres refuses to run as root, and there is no user postgres or nobody to run it as")
}

// canEnter reports whether the account may pass through path and every folder above it.
func (a *account) canEnter(path string) bool {
	for {
		info, err := os.Stat(path)
		if err != nil {
			return false
		}
		stat := info.Sys().(*syscall.Stat_t)
		bit := os.FileMode(0o001)
		if stat.Uid == a.uid {
			bit = 0o100
		} else if stat.Gid == a.gid {
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return false
		}
		parent := filepath.Dir(path)
		if parent == path {
			return true
		}
		path = parent
	}
}

// give makes the server's user the owner of a path.
func (d *dir) give(path string) error {
	if d.as == nil {
		return nil
	}
	if err := os.Lchown(path, int(d.as.uid), int(d.as.gid)); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return nil
}

func (d *dir) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(d.home, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(lock)
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s by process %s", ErrInUse, d.home, strings.TrimSpace(string(holder)))
		}
		return fmt.Errorf("lock data folder: %w", err)
	}
	err = lock.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(lock, os.Getpid())
	}
	if err != nil {
		_ = lock.Close()
		return fmt.Errorf("lock data folder: %w", err)
	}
	d.lock = lock
	return nil
}

func (d *dir) ensurePassword() error {
	text, err := os.ReadFile(d.path("password"))
	if err == nil && len(text) > 0 {
		d.password = strings.TrimSpace(string(text))
		return nil
	}
	if _, statErr := os.Stat(d.pgdata()); statErr == nil {
		return fmt.Errorf("password of the cluster in %s: %w", d.root, errors.Join(err, errors.New("file missing or empty")))
	}
	d.password = rand.Text()
	if err := os.WriteFile(d.path("password"), []byte(d.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep password: %w", err)
	}
	return d.give(d.path("password"))
}

// choosePort returns want, or the last start's port if it is free, or any free one.
func (d *dir) choosePort(want int) (int, error) {
	if want != 0 {
		return want, nil
	}
	if text, err := os.ReadFile(d.path("port")); err == nil {
		if port, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && port > 0 {
			if port, err := listenOnce(port); err == nil {
				return port, nil
			}
		}
	}
	port, err := listenOnce(0)
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

func listenOnce(port int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (d *dir) savePort(port int) error {
	if err := os.WriteFile(d.path("port"), []byte(strconv.Itoa(port)+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep port: %w", err)
	}
	return d.give(d.path("port"))
}

// openLog opens the server's log to append to, and says where what is appended begins.
func (d *dir) openLog() (log *os.File, from int64, err error) {
	name := d.path("postgres.log")
	if info, err := os.Stat(name); err == nil && info.Size() > maxLog {
		if err := os.Rename(name, name+".old"); err != nil {
			return nil, 0, fmt.Errorf("postgres log: %w", err)
		}
	}
	log, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("postgres log: %w", err)
	}
	if from, err = log.Seek(0, io.SeekEnd); err == nil {
		err = d.give(name)
	}
	if err != nil {
		_ = log.Close()
		return nil, 0, fmt.Errorf("postgres log: %w", err)
	}
	return log, from, nil
}

// logTail is the end of what the server logged from an offset on: why it did not start.
func (d *dir) logTail(from int64) string {
	text, err := os.ReadFile(d.path("postgres.log"))
	if err != nil {
		return err.Error()
	}
	text = text[min(int(from), len(text)):]
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// remove deletes the folder and all it holds, wherever it is.
func (d *dir) remove() error {
	return errors.Join(os.RemoveAll(d.root), os.RemoveAll(d.home))
}

// prepare has a program run as the server's user, from a folder it may enter, without any PG…
// variable of ours, and with messages that we can read.
func (d *dir) prepare(cmd *exec.Cmd) {
	cmd.Dir = d.root
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_ALL=")
	}), "LC_MESSAGES=C")
	cmd.SysProcAttr = processAttr(d.as)
}
