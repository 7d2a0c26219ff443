package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
	"millrace/ops/routine"
)

// process is one child, as its parent sees it. It serves one file at a time.
type process struct {
	workspace uuid.UUID
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
	said      head
	files     int
	expiry    func() // ends the wait for idleness; set while the child is idle
	wait      func() error
}

// start starts a child with an empty environment.
func start(opts Options, workspace uuid.UUID) (*process, error) {
	c := &process{workspace: workspace, cmd: exec.Command(opts.Command[0], opts.Command[1:]...)}
	c.cmd.Env = []string{"GOTRACEBACK=single"}
	c.cmd.Stderr = &c.said
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open the extraction process's input: %w", err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open the extraction process's output: %w", err)
	}
	c.in, c.out = in, bufio.NewReaderSize(out, 64<<10)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the extraction process: %w", err)
	}
	c.wait = sync.OnceValue(c.cmd.Wait)
	err = writeJSON(c.in, frameSettings, settings{
		MemoryBytes: int64(opts.MemoryMB) << 20, CPU: opts.Timeout, CacheDir: opts.CacheDir, MaxPages: opts.MaxPages, Timeout: opts.Timeout,
	})
	if err != nil {
		c.close()
		return nil, fmt.Errorf("start the extraction process: %w: %s", err, c.lastWords())
	}
	return c, nil
}

// kill ends the child at once. Its pipes then fail, which the caller that uses them sees.
func (c *process) kill() { _ = c.cmd.Process.Kill() }

// close ends the child and waits for its end.
func (c *process) close() {
	_ = c.in.Close()
	c.kill()
	_ = c.wait()
}

// send writes the request and its source. An error of the source is apart from one of the child.
func (c *process) send(req Request, source func(io.Writer) error) (sourceErr, err error) {
	if err := writeJSON(c.in, frameRequest, req); err != nil {
		return nil, err
	}
	to := &keepError{to: dataWriter{c.in}}
	if err := source(to); err != nil && to.err == nil {
		return err, nil
	}
	if to.err != nil {
		return nil, to.err
	}
	return nil, writeFrame(c.in, frameData, nil)
}

// keepError remembers that the writer failed, and not the reader.
type keepError struct {
	to  io.Writer
	err error
}

// Write implements io.Writer.
func (k *keepError) Write(data []byte) (int, error) {
	n, err := k.to.Write(data)
	k.err = err
	return n, err
}

// header reads what the child reports until the result's header.
func (c *process) header(report func(done, total int)) (*Result, error) {
	for {
		kind, payload, err := readFrame(c.out)
		if err != nil {
			return nil, err
		}
		switch kind {
		case frameProgress:
			var at progress
			if err := json.Unmarshal(payload, &at); err != nil {
				return nil, fmt.Errorf("read progress: %w", err)
			}
			if report != nil {
				report(at.Done, at.Total)
			}
		case frameRejected, frameTextless:
			return nil, &answeredError{&knowledge.Rejection{Reason: string(payload), Textless: kind == frameTextless}}
		case frameError:
			return nil, &answeredError{errors.New(string(payload))}
		case frameHeader:
			var result Result
			if err := json.Unmarshal(payload, &result); err != nil {
				return nil, fmt.Errorf("read the result: %w", err)
			}
			return &result, nil
		default:
			return nil, fmt.Errorf("frame %q comes before the result", kind)
		}
	}
}

// rest reads the chunks and bars of a result, of no more bytes than its header states.
func (c *process) rest(result *Result) error {
	read := int64(0)
	for {
		kind, payload, err := readFrame(c.out)
		if err != nil {
			return err
		}
		switch kind {
		case frameEnd:
			return nil
		case frameChunks:
			var chunks []knowledge.Chunk
			if err := json.Unmarshal(payload, &chunks); err != nil {
				return fmt.Errorf("read chunks: %w", err)
			}
			for _, chunk := range chunks {
				read += int64(len(chunk.Text))
			}
			result.Chunks = append(result.Chunks, chunks...)
		case frameData:
			if result.Dataset == nil {
				return errors.New("bars come without a dataset")
			}
			if result.Dataset.Encoded == nil {
				result.Dataset.Encoded = make([]byte, 0, min(result.Bytes, 256<<20))
			}
			read += int64(len(payload))
			result.Dataset.Encoded = append(result.Dataset.Encoded, payload...)
		default:
			return fmt.Errorf("frame %q stands in a result", kind)
		}
		if read > result.Bytes {
			return fmt.Errorf("the result has over the %d bytes that its header states", result.Bytes)
		}
	}
}

// What ended a child.
type ending int

const (
	endOther ending = iota
	endMemory
	endTime
)

// end waits for the child's end, which its failed pipe announced, and says what it was. A child that
// does not end by itself is killed.
func (c *process) end() ending {
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stop := routine.OnDone(grace, c.kill)
	defer stop()
	_ = c.in.Close()
	_ = c.wait()
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	words := c.said.String()
	switch {
	case ok && status.Signaled() && status.Signal() == syscall.SIGXCPU, strings.Contains(words, "SIGXCPU"):
		return endTime
	case strings.Contains(words, "out of memory"), strings.Contains(words, "cannot allocate memory"),
		strings.Contains(words, "stack exceeds"), strings.Contains(words, "stack overflow"):
		return endMemory
	}
	return endOther
}

// lastWords is what the child wrote on standard error, for the log.
func (c *process) lastWords() string { return c.said.String() }

// head keeps the beginning of what is written to it: that of a crash has its cause.
type head struct {
	mu   sync.Mutex
	kept []byte
}

// Write implements io.Writer.
func (t *head) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, data[:min(len(data), 4<<10-min(len(t.kept), 4<<10))]...)
	return len(data), nil
}

// String implements fmt.Stringer.
func (t *head) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
