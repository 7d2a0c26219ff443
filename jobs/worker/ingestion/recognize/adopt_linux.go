package recognize

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// adopt has what the program leaves running become a child of this process, also when it has left its group.
func adopt() error {
	const setChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setChildSubreaper, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("adopt what the program leaves: %w", errno)
	}
	return nil
}

// ownGroup has the program lead a group, and die with this process.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killAdopted kills the children of this process, and reports whether there were any. Theirs are children of this process then.
func killAdopted() bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && parentOf(path) == os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	var status syscall.WaitStatus
	for {
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return err == nil // else there are no children
		}
	}
}

// parentOf reads the parent's id from a file /proc/PID/stat; 0 when the process has gone. It comes after the name, which may hold anything.
func parentOf(path string) int {
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}
