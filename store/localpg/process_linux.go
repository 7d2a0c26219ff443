package localpg

import "syscall"

// processAttr runs a program in a process group of its own, so that the terminal's Ctrl-C reaches
// only us and we stop the server last, and has the kernel stop it (SIGINT) should we be killed.
func processAttr(as *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return attr
}

func locale() string { return "C.UTF-8" }
