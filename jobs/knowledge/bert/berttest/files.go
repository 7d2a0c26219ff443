// Package berttest writes a small encoder for tests, which need no model to be fetched.
package berttest

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// Files are those of a model of random weights, as sentence-transformers would write them. change, which may be nil, changes them.
func Files(t testing.TB, change func(files fstest.MapFS)) fstest.MapFS {
	t.Helper()
	const hidden, inner, layers, vocabulary = 24, 40, 2, 40
	r := rand.New(rand.NewPCG(1, 2))
	var data []byte
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	put := func(name string, shape ...int) {
		n, from := 1, len(data)
		for _, d := range shape {
			n *= d
		}
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(r.NormFloat64()/4)))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{from, len(data)}}
	}
	dense := func(name string, out, in int) { put(name+".weight", out, in); put(name+".bias", out) }
	norm := func(name string) { put(name+".weight", hidden); put(name+".bias", hidden) }
	put("embeddings.word_embeddings.weight", vocabulary, hidden)
	put("embeddings.position_embeddings.weight", 80, hidden)
	put("embeddings.token_type_embeddings.weight", 2, hidden)
	norm("embeddings.LayerNorm")
	for i := range layers {
		at := fmt.Sprintf("encoder.layer.%d.", i)
		for _, part := range []string{"self.query", "self.key", "self.value", "output.dense"} {
			dense(at+"attention."+part, hidden, hidden)
		}
		norm(at + "attention.output.LayerNorm")
		dense(at+"intermediate.dense", inner, hidden)
		dense(at+"output.dense", hidden, inner)
		norm(at + "output.LayerNorm")
	}
	head, err := json.Marshal(header)
	require.NoError(t, err)
	vocab := map[string]int{"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
	for _, piece := range []string{"stop", "##s", "loss", "un", "##aff", "##able", "cafe", ".", "-", "動", "a", "b", "c", "d", "e", "f"} {
		vocab[piece] = len(vocab)
	}
	pieces, err := json.Marshal(map[string]any{
		"normalizer": map[string]any{"lowercase": true}, "model": map[string]any{"type": "WordPiece", "continuing_subword_prefix": "##", "vocab": vocab},
	})
	require.NoError(t, err)
	files := fstest.MapFS{
		"config.json": {Data: []byte(`{"model_type":"bert","hidden_act":"gelu","hidden_size":24,"num_attention_heads":3,"num_hidden_layers":2,` +
			`"intermediate_size":40,"max_position_embeddings":80,"vocab_size":40,"type_vocab_size":2,"layer_norm_eps":1e-12}`)},
		"tokenizer.json":            {Data: pieces},
		"sentence_bert_config.json": {Data: []byte(`{"max_seq_length":70}`)},
		"model.safetensors":         {Data: append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), append(head, data...)...)},
	}
	if change != nil {
		change(files)
	}
	return files
}

// Archive writes the files to a zip file, and returns its path.
func Archive(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.zip")
	file, err := os.Create(path)
	require.NoError(t, err)
	archive := zip.NewWriter(file)
	require.NoError(t, archive.AddFS(Files(t, nil)))
	require.NoError(t, archive.Close())
	require.NoError(t, file.Close())
	return path
}
