// Package recognize has a program add text to PDF files that have none, as scans: OCRmyPDF, or any other that reads a PDF
// from standard input and writes one with text to standard output. What it writes is read as a PDF that was sent, in the
// same sandbox and within the same limits.
package recognize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"millrace/jobs/knowledge"
)

// Options make a Program. Zero fields take their defaults.
type Options struct {
	Command  string        // the program and its arguments, separated by spaces
	Timeout  time.Duration // for a file; default 10 min
	MaxBytes int64         // of what it writes; default 200 MB
	Dir      string        // for what it writes, and for its own files; default: the system's
	// Parent is the program that is Main, and its arguments; default: this program with Verb.
	Parent []string
}

// Program recognises text by running a program once for each file. It is safe for concurrent use.
type Program struct {
	opts Options
	path string
	args []string
}

// New finds the program. An error says what is wrong with the command.
func New(opts Options) (*Program, error) {
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Minute
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 200 << 20
	}
	words := strings.Fields(opts.Command)
	if len(words) == 0 {
		return nil, errors.New("name a program, as in ocrmypdf --quiet --force-ocr - -")
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return nil, fmt.Errorf("%q cannot be run: %w", words[0], err)
	}
	if len(opts.Parent) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		opts.Parent = []string{self, Verb}
	}
	sweep(opts.Dir)
	return &Program{opts: opts, path: path, args: words[1:]}, nil
}

const (
	folders = "millrace-recognize-"
	// stale is the age at which a folder is of a process that died before it removed it: a file takes 15 min at most, and its text
	// is read within minutes.
	stale = time.Hour
)

// sweep removes what processes left that were killed together with all that would have removed it.
func sweep(dir string) {
	if dir == "" {
		dir = os.TempDir()
	}
	left, _ := os.ReadDir(dir) // a folder that cannot be read is found when a file is to be recognised
	for _, folder := range left {
		info, err := folder.Info()
		if err == nil && info.IsDir() && strings.HasPrefix(folder.Name(), folders) && time.Since(info.ModTime()) > stale {
			_ = os.RemoveAll(filepath.Join(dir, folder.Name())) // of another user, it may not be ours to remove
		}
	}
}

// Recognize runs the program with what source writes. The file it returns is removed by its Close. A file of which the
// program makes nothing is a *knowledge.Rejection; an error of source is returned as it is.
func (p *Program) Recognize(ctx context.Context, source func(io.Writer) error) (knowledge.Recognized, error) {
	dir, err := os.MkdirTemp(p.opts.Dir, folders+"*")
	if err != nil {
		return nil, fmt.Errorf("make a folder for text recognition: %w", err)
	}
	made, err := p.run(ctx, dir, source)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return made, nil
}

func (p *Program) run(ctx context.Context, dir string, source func(io.Writer) error) (*output, error) {
	in, err := spool(dir, source)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(dir, "out-*.pdf")
	if err != nil {
		return nil, fmt.Errorf("make a file for text recognition: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	written := &bounded{to: out, left: p.opts.MaxBytes, stop: cancel}
	cmd, done, err := p.command(limited, dir, in, written)
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	defer done()
	err = cmd.Run()
	switch {
	case err == nil && written.err == nil:
		return &output{file: out, size: p.opts.MaxBytes - written.left, dir: dir}, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case written.full:
		err = knowledge.Rejectf("the PDF has no text of its own, and with recognised text it has over %d bytes: split it", p.opts.MaxBytes)
	case written.err != nil:
		err = fmt.Errorf("write recognised text: %w", written.err)
	case limited.Err() != nil:
		err = knowledge.Rejectf("the PDF has no text of its own, and recognising it takes over %s: split it", p.opts.Timeout)
	default:
		err = p.failed(err)
	}
	return nil, errors.Join(err, out.Close())
}

// failed is a program that ended with an error: by its own status it refuses the file; else it is our failure.
func (p *Program) failed(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() && exit.ExitCode() < notStarted {
		return knowledge.Rejectf("the PDF has no text of its own, and text recognition ended with status %d: recognise its text (OCR) before you send it", exit.ExitCode())
	}
	return fmt.Errorf("run text recognition: %w", err)
}

// spool writes the source to a file: a program may read it more slowly than a transaction should be open.
func spool(dir string, source func(io.Writer) error) (*os.File, error) {
	in, err := os.CreateTemp(dir, "in-*.pdf")
	if err != nil {
		return nil, fmt.Errorf("make a file for text recognition: %w", err)
	}
	if err := source(in); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("read the spooled file: %w", err), in.Close())
	}
	return in, nil
}

// bounded stops the program once it has written too much.
type bounded struct {
	to   io.Writer
	left int64
	stop func()
	full bool
	err  error
}

// Write implements io.Writer.
func (b *bounded) Write(data []byte) (int, error) {
	if int64(len(data)) > b.left {
		b.full = true
		b.err = io.ErrShortWrite
		b.stop()
		return 0, b.err
	}
	n, err := b.to.Write(data)
	b.left -= int64(n)
	if err != nil {
		b.err = err
		b.stop()
	}
	return n, err
}

// output is what the program wrote.
type output struct {
	file *os.File
	size int64
	dir  string
}

// Size implements knowledge.Recognized.
func (o *output) Size() int64 { return o.size }

// Copy implements knowledge.Recognized.
func (o *output) Copy(to io.Writer) error {
	if _, err := o.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read recognised text: %w", err)
	}
	_, err := io.Copy(to, o.file)
	return err
}

// Close implements knowledge.Recognized.
func (o *output) Close() error { return errors.Join(o.file.Close(), os.RemoveAll(o.dir)) }

var _ knowledge.Recognizer = (*Program)(nil)
