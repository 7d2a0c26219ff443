//go:build !linux

package localpg

import "syscall"

// processAttr runs a program in a process group of its own, so that the terminal's Ctrl-C reaches
// only us and we stop the server last. Should we be killed, the next start stops it.
func processAttr(as *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return attr
}

func locale() string { return "en_US.UTF-8" }
