package bert

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"millrace/jobs/knowledge"
)

const (
	// mostModel bounds the weights, in bytes.
	mostModel = 2 << 30
	// window is how many tokens are read at once where the model does not say; overlap is shared by two.
	window  = 256
	overlap = 32
)

// named are models by the SHA-256 of their weights.
func named(sum string) string {
	if sum == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db" {
		return "all-MiniLM-L6-v2"
	}
	return "bert-" + sum[:12]
}

// Embedder embeds texts with an encoder. It is safe for concurrent use.
type Embedder struct {
	model   knowledge.Model
	pieces  *wordPieces
	encoder *encoder
	window  int  // tokens read at once
	first   bool // the first token stands for the text, rather than the mean of all
}

// Open reads a model from the files that sentence-transformers writes, at the root of a folder or
// archive, in one folder of it, or in a zip file within it, as in a Python wheel.
func Open(files fs.FS) (*Embedder, error) {
	root, err := find(files)
	if err != nil {
		return nil, err
	}
	read := func(name string) ([]byte, error) { return fs.ReadFile(root, name) }
	rawConfig, configErr := read("config.json")
	rawPieces, piecesErr := read("tokenizer.json")
	weights, weightsErr := read("model.safetensors")
	if err := errors.Join(configErr, piecesErr, weightsErr); err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	c, err := readConfig(rawConfig)
	if err != nil {
		return nil, err
	}
	e := &Embedder{window: min(window, c.Positions)}
	if e.pieces, err = readWordPieces(rawPieces, c.Vocabulary); err != nil {
		return nil, err
	}
	t, err := readTensors(weights)
	if err != nil {
		return nil, err
	}
	if e.encoder, err = readEncoder(c, t); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(weights)
	e.model = knowledge.Model{Provider: "local", Name: named(hex.EncodeToString(sum[:])), Dimensions: c.Hidden}
	return e, e.readPooling(read)
}

// Pieces are those that words are made of, by their numbers. One within a word begins with "##".
func (e *Embedder) Pieces() []string {
	pieces := make([]string, e.encoder.Vocabulary)
	for piece, id := range e.pieces.pieces {
		pieces[id] = piece
	}
	return pieces
}

// EmbedPiece is the vector of a text of one piece.
func (e *Embedder) EmbedPiece(ctx context.Context, id int) ([]float32, error) {
	return e.embed(ctx, []int32{int32(id)})
}

// readPooling reads what the optional files say: how much is read at once, and what stands for a text.
func (e *Embedder) readPooling(read func(string) ([]byte, error)) error {
	var length struct {
		Most int `json:"max_seq_length"`
	}
	if raw, err := read("sentence_bert_config.json"); err == nil {
		if err := json.Unmarshal(raw, &length); err != nil {
			return fmt.Errorf("sentence_bert_config.json: %w", err)
		}
		if length.Most >= 2*overlap && length.Most <= e.encoder.Positions {
			e.window = length.Most
		}
	}
	var pooling struct {
		First bool `json:"pooling_mode_cls_token"`
	}
	if raw, err := read("1_Pooling/config.json"); err == nil {
		if err := json.Unmarshal(raw, &pooling); err != nil {
			return fmt.Errorf("1_Pooling/config.json: %w", err)
		}
		e.first = pooling.First
	}
	return nil
}

// find is where the model's files are.
func find(files fs.FS) (fs.FS, error) {
	if _, err := fs.Stat(files, "model.safetensors"); err == nil {
		return files, nil
	}
	var found fs.FS
	err := fs.WalkDir(files, ".", func(at string, entry fs.DirEntry, err error) error {
		if err != nil || found != nil || entry.IsDir() {
			return err
		}
		switch {
		case path.Base(at) == "model.safetensors":
			found, err = fs.Sub(files, path.Dir(at))
		case strings.HasSuffix(at, ".zip"):
			found, err = within(files, at)
		}
		return err
	})
	if err == nil && found == nil {
		err = errors.New("there is no model.safetensors")
	}
	return found, err
}

// within opens a zip file in an archive; nil when it has no model.
func within(files fs.FS, at string) (fs.FS, error) {
	file, err := files.Open(at)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, mostModel))
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	if _, err := fs.Stat(archive, "model.safetensors"); err != nil {
		return nil, nil
	}
	return archive, nil
}

// Model implements knowledge.Embedder.
func (e *Embedder) Model() knowledge.Model { return e.model }

// Embed implements knowledge.Embedder. A text of more tokens than the model reads at once is read in
// parts that overlap, and has their mean.
func (e *Embedder) Embed(ctx context.Context, _ knowledge.Use, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		vector, err := e.embed(ctx, e.pieces.ids(text))
		if err != nil {
			return nil, knowledge.AsFault("embedder local", err)
		}
		vectors[i] = vector
	}
	return vectors, nil
}

func (e *Embedder) embed(ctx context.Context, ids []int32) ([]float32, error) {
	sum := make([]float64, e.encoder.Hidden)
	room := e.window - 2 // for what begins and ends a text
	for start := 0; ; start += room - overlap {
		end := min(start+room, len(ids))
		part := append(append([]int32{e.pieces.begin}, ids[start:end]...), e.pieces.end)
		states, err := e.encoder.encode(ctx, part)
		if err != nil {
			return nil, err
		}
		for j, x := range knowledge.Normalized(e.pool(states)) {
			sum[j] += float64(x) * float64(len(part))
		}
		if end == len(ids) {
			return knowledge.Normalized(sum), nil
		}
	}
}

// pool makes one vector of the states of all tokens.
func (e *Embedder) pool(states []float32) []float64 {
	h := e.encoder.Hidden
	pooled := make([]float64, h)
	if e.first {
		states = states[:h]
	}
	for i, x := range states {
		pooled[i%h] += float64(x)
	}
	return pooled
}
