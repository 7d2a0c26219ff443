package localpg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Of clock ticks the kernel counts a hundred a second in what it shows to programs.
const clockTick = 10 * time.Millisecond

// ProcessorTime is the processor time that the server has taken, of its sessions and its own processes, also of those that
// have ended. It is read from /proc, and an error where there is none.
func (c *Cluster) ProcessorTime() (time.Duration, error) {
	server := strconv.Itoa(c.proc.cmd.Process.Pid)
	total, err := ticksOf(server, 4) // with its children that have ended
	if err != nil {
		return 0, err
	}
	threads, err := filepath.Glob("/proc/" + server + "/task/*/children")
	if err != nil {
		return 0, err
	}
	for _, file := range threads {
		children, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		for _, child := range strings.Fields(string(children)) {
			ticks, err := ticksOf(child, 2)
			if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) { // ended since
				return 0, err
			}
			total += ticks
		}
	}
	return time.Duration(total) * clockTick, nil
}

// ticksOf sums the first of a process's times: its own, in the program and in the kernel, and those of its ended children.
func ticksOf(pid string, times int) (sum int, err error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	// The name of the program stands in brackets, and may have any characters.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 11+times {
		return 0, fmt.Errorf("/proc/%s/stat has %d fields", pid, len(fields))
	}
	for _, field := range fields[11 : 11+times] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		sum += ticks
	}
	return sum, nil
}
