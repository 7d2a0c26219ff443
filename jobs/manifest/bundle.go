package manifest

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
)

// Bundle is a result with all that it was made of. As a file it is a zip archive of
//
//	manifest.json     the manifest in its canonical form
//	manifest.sha256   its hash as it was stored with the result
//	spec.json         the request as it is stored
//	datasets/N.bars   the bars of dataset N of the manifest, as ohlcv.Encode packs them
//	intrabar.bars     the bars inside those of the first dataset, of a result that follows them
//	script.pine       the source, of a result of a script
//	result/PART       the bytes of each part of the result; trials and ranking are left out once they are dropped
//	SHA256SUMS        the hash of every other file
type Bundle struct {
	Manifest *Manifest
	Sum      string // of the manifest, as it was stored
	Spec     json.RawMessage
	Data     [][]byte // of each dataset, packed
	Intrabar []byte   // of the dataset inside the first one, packed; nil: a path is assumed
	Script   string   // source; "": not a script
	Parts    Parts
}

// Limits of a bundle.
const (
	maxFiles    = 200
	maxFile     = 1 << 30 // bytes of one file, unpacked
	maxAll      = 2 << 30
	maxManifest = 8 << 20
	maxScript   = 256 << 10
)

var fileName = regexp.MustCompile(`^(manifest\.json|manifest\.sha256|spec\.json|intrabar\.bars|script\.pine|SHA256SUMS|datasets/[0-9]{1,3}\.bars|result/[a-z_]{1,20})$`)

// Write writes the bundle. The same bundle gives the same bytes.
func (b *Bundle) Write(to io.Writer) error {
	body, err := b.Manifest.Canonical()
	if err != nil {
		return err
	}
	files := map[string][]byte{"manifest.json": body, "manifest.sha256": []byte(b.Sum), "spec.json": b.Spec}
	for i, data := range b.Data {
		files[fmt.Sprintf("datasets/%d.bars", i)] = data
	}
	if b.Manifest.Intrabar != nil {
		files[intrabarFile] = b.Intrabar
	}
	if b.Script != "" {
		files["script.pine"] = []byte(b.Script)
	}
	for part, body := range b.Parts {
		files["result/"+part] = body
	}
	var sums strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&sums, "%s  %s\n", Sum(files[name]), name)
	}
	files["SHA256SUMS"] = []byte(sums.String())
	archive := zip.NewWriter(to)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if _, err := file.Write(files[name]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return archive.Close()
}

// ReadBundle reads a bundle and checks its files: their names, their sizes as they are unpacked, and their
// hashes. Check holds them to the manifest.
func ReadBundle(from io.ReaderAt, size int64) (*Bundle, error) {
	archive, err := zip.NewReader(from, size)
	if err != nil {
		return nil, fmt.Errorf("the file is not a zip archive: %w", err)
	}
	files, err := unpack(archive)
	if err != nil {
		return nil, err
	}
	if err := checkSums(files); err != nil {
		return nil, err
	}
	b := &Bundle{Sum: string(files["manifest.sha256"]), Spec: files["spec.json"], Script: string(files["script.pine"]), Parts: Parts{}}
	if b.Manifest, err = Read(files["manifest.json"]); err != nil {
		return nil, err
	}
	for name, body := range files {
		if part, ok := strings.CutPrefix(name, "result/"); ok {
			b.Parts[part] = body
		}
	}
	for i := range b.Manifest.Datasets {
		data, ok := files[fmt.Sprintf("datasets/%d.bars", i)]
		if !ok {
			return nil, fmt.Errorf("dataset %d of the manifest is not in the file", i)
		}
		b.Data = append(b.Data, data)
	}
	if b.Manifest.Intrabar != nil {
		if b.Intrabar = files[intrabarFile]; b.Intrabar == nil {
			return nil, errors.New("the dataset that the manifest names as intrabar is not in the file")
		}
	}
	return b, nil
}

// intrabarFile holds the bars inside those of the first dataset.
const intrabarFile = "intrabar.bars"

// unpack reads every file of the archive within its limits.
func unpack(archive *zip.Reader) (map[string][]byte, error) {
	if len(archive.File) > maxFiles {
		return nil, fmt.Errorf("the archive has %d files, more than %d", len(archive.File), maxFiles)
	}
	files := map[string][]byte{}
	var all uint64
	for _, f := range archive.File {
		limit := uint64(maxFile)
		switch {
		case !fileName.MatchString(f.Name):
			return nil, fmt.Errorf("the archive has a file %q, which does not belong there", f.Name)
		case files[f.Name] != nil:
			return nil, fmt.Errorf("the archive has the file %s twice", f.Name)
		case f.Name == "script.pine":
			limit = maxScript
		case f.Name == "manifest.json", f.Name == "spec.json", f.Name == "SHA256SUMS":
			limit = maxManifest
		}
		if all += f.UncompressedSize64; f.UncompressedSize64 > limit || all > maxAll {
			return nil, fmt.Errorf("%s unpacks to %d bytes, more than is allowed (%d a file, %d in all)", f.Name, f.UncompressedSize64, limit, uint64(maxAll))
		}
		in, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", f.Name, err)
		}
		// What the header states is not trusted: it grows as it is read, and one byte more is too much.
		var body bytes.Buffer
		n, err := io.Copy(&body, io.LimitReader(in, int64(f.UncompressedSize64)+1))
		err = errors.Join(err, in.Close())
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name, err)
		}
		if uint64(n) != f.UncompressedSize64 {
			return nil, fmt.Errorf("%s unpacks to another size than it states", f.Name)
		}
		files[f.Name] = append([]byte{}, body.Bytes()...)
	}
	return files, nil
}

// checkSums holds the files to SHA256SUMS, which names each of them.
func checkSums(files map[string][]byte) error {
	stated := map[string]string{}
	for line := range strings.Lines(string(files["SHA256SUMS"])) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != 32 {
			return errors.New("SHA256SUMS cannot be read")
		}
		stated[name] = sum
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != "SHA256SUMS" && Sum(files[name]) != stated[name] {
			return fmt.Errorf("%s does not have the hash that SHA256SUMS states", name)
		}
	}
	for name := range stated {
		if files[name] == nil {
			return fmt.Errorf("%s is stated in SHA256SUMS and not in the file", name)
		}
	}
	return nil
}

// Check holds the manifest to the hash with which it was stored, and data, script and result to the manifest.
func (b *Bundle) Check() error {
	body, err := b.Manifest.Canonical()
	if err != nil {
		return err
	}
	if got := Sum(body); got != b.Sum {
		return fmt.Errorf("the manifest has the hash %.12s, not %.12s, with which it was stored", got, b.Sum)
	}
	if len(b.Manifest.Datasets) == 0 {
		return errors.New("the manifest names no dataset")
	}
	series, err := b.series()
	if err != nil {
		return err
	}
	if differs, err := b.otherBars(series); err != nil {
		return err
	} else if len(differs) > 0 {
		return fmt.Errorf("%s as the manifest states", differs[0])
	}
	if s := b.Manifest.Script; s != nil && Sum([]byte(b.Script)) != s.SHA256 {
		return fmt.Errorf("script %s has another source than the manifest states", s.Name)
	}
	for part, sum := range b.Manifest.Result.Parts {
		body, ok := b.Parts[part]
		if !ok && mayLack(part) {
			continue // what is made again is compared by its hash
		}
		if !ok || Sum(body) != sum {
			return fmt.Errorf("part %s of the result has other bytes than the manifest states", part)
		}
	}
	return nil
}

// series unpacks the bars.
func (b *Bundle) series() ([]sweep.Series, error) {
	if len(b.Data) != len(b.Manifest.Datasets) || len(b.Data) == 0 {
		return nil, fmt.Errorf("there are %d datasets of the %d that the manifest names", len(b.Data), len(b.Manifest.Datasets))
	}
	series := make([]sweep.Series, len(b.Data))
	for i := range b.Data {
		bars, err := b.Bars(i)
		if err != nil {
			return nil, fmt.Errorf("dataset %d: %w", i, err)
		}
		d := b.Manifest.Datasets[i]
		series[i] = sweep.Series{Name: d.Name, Bars: bars, Calendar: backtest.Calendar(d.Calendar)}
	}
	return series, nil
}

// detail puts the bars of the intrabar dataset inside those of the first, where the result follows them.
func (b *Bundle) detail(series []sweep.Series) error {
	if b.Manifest.Intrabar == nil {
		return nil
	}
	fine, err := b.IntrabarBars()
	if err != nil {
		return err
	}
	if series[0].Bars, err = series[0].Bars.WithDetail(fine); err != nil {
		return fmt.Errorf("intrabar dataset %s: %w", b.Manifest.Intrabar.Name, err)
	}
	return nil
}

// otherBars says which datasets have other bars than the manifest states.
func (b *Bundle) otherBars(series []sweep.Series) (differs []string, err error) {
	compare := func(d Dataset, bars *backtest.Bars) {
		if !SameBars(bars, d.SHA256) {
			differs = append(differs, fmt.Sprintf("dataset %s has the bars %.12s, not %.12s", d.Name, BarsSum(bars), d.SHA256))
		}
	}
	for i, d := range b.Manifest.Datasets {
		compare(d, series[i].Bars)
	}
	if d := b.Manifest.Intrabar; d != nil {
		fine, err := b.IntrabarBars()
		if err != nil {
			return nil, err
		}
		compare(*d, fine)
	}
	return differs, nil
}

// Bars unpacks the bars of dataset i.
func (b *Bundle) Bars(i int) (*backtest.Bars, error) {
	return unpackBars(b.Data[i], &b.Manifest.Datasets[i])
}

// IntrabarBars unpacks the bars of the intrabar dataset.
func (b *Bundle) IntrabarBars() (*backtest.Bars, error) {
	bars, err := unpackBars(b.Intrabar, b.Manifest.Intrabar)
	if err != nil {
		return nil, fmt.Errorf("intrabar dataset: %w", err)
	}
	return bars, nil
}

func unpackBars(data []byte, of *Dataset) (*backtest.Bars, error) {
	bars, err := ohlcv.Decode(data)
	if err != nil {
		return nil, err
	}
	return bars.As(of.Instrument)
}

// SameBars reports whether a content hash in hex is that of the bars, also in the form of before.
func SameBars(bars *backtest.Bars, sum string) bool {
	raw, err := hex.DecodeString(sum)
	return err == nil && ohlcv.Matches(bars, raw)
}

// BarsSum is the content hash of bars, in hex.
func BarsSum(bars *backtest.Bars) string {
	sum := ohlcv.Sum(bars)
	return hex.EncodeToString(sum[:])
}
