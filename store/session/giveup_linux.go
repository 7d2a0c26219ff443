package session

import (
	"strings"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h, which package syscall lacks.
const tcpUserTimeout = 0x12

// giveUpUnanswered has the kernel end a TCP connection whose sent bytes go unacknowledged: without it
// a write into a network that drops packets hangs for a quarter of an hour.
func giveUpUnanswered(network, _ string, raw syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(Unanswered.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
