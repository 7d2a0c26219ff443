package bert_test

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/bert"
	"millrace/jobs/knowledge/bert/berttest"
)

func embed(t testing.TB, e knowledge.Embedder, texts ...string) [][]float32 {
	t.Helper()
	vectors, err := e.Embed(t.Context(), knowledge.ForQuery, texts)
	require.NoError(t, err)
	require.Len(t, vectors, len(texts))
	for _, v := range vectors {
		require.Len(t, v, e.Model().Dimensions)
		require.InDelta(t, 1, cosine(v, v), 1e-5)
	}
	return vectors
}

func cosine(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestTextsOfAnyLengthHaveVectors(t *testing.T) {
	t.Parallel()
	e, err := bert.Open(berttest.Files(t, nil))
	require.NoError(t, err)
	require.Equal(t, "local", e.Model().Provider)
	require.Equal(t, 24, e.Model().Dimensions)
	require.False(t, e.Model().Lexical())
	long := strings.Repeat("a b c d e f stops loss. ", 100)
	v := embed(t, e, "", "Stops", "stops", "café", "cafe", long, strings.Repeat("x", 5000), "\x00\xff\ufffd", "動動", "a b", "b a")
	require.Equal(t, v[1], v[2], "case does not count")
	require.Equal(t, v[3], v[4], "accents do not count")
	require.NotEqual(t, v[9], v[10], "the order of words counts")
	require.Equal(t, embed(t, e, long)[0], v[5], "the same text has the same vector")
}

func TestAPieceIsReadAsATextOfItsOwn(t *testing.T) {
	t.Parallel()
	e, err := bert.Open(berttest.Files(t, nil))
	require.NoError(t, err)
	pieces := e.Pieces()
	require.Contains(t, pieces, "##aff")
	v, err := e.EmbedPiece(t.Context(), slices.Index(pieces, "stop"))
	require.NoError(t, err)
	require.Equal(t, embed(t, e, "stop")[0], v)
}

// Where sentence-transformers has written the model, Python's figures are met.
func TestAKnownModelGivesItsPublishedSimilarities(t *testing.T) {
	t.Parallel()
	file := os.Getenv("EMBEDDER_TEST_FILE")
	if file == "" {
		t.Skip("EMBEDDER_TEST_FILE is not set: a small model of random weights is tested")
	}
	archive, err := zip.OpenReader(file)
	require.NoError(t, err)
	defer func() { _ = archive.Close() }()
	e, err := bert.Open(archive)
	require.NoError(t, err)
	require.Equal(t, knowledge.Model{Provider: "local", Name: "all-MiniLM-L6-v2", Dimensions: 384}, e.Model())
	v := embed(t, e, "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
	require.InDelta(t, 0.6660, cosine(v[0], v[1]), 5e-4)
	require.InDelta(t, 0.1046, cosine(v[0], v[2]), 5e-4)
	require.InDelta(t, 0.1411, cosine(v[1], v[2]), 5e-4)
}

func TestModelsAreFoundInFoldersAndArchives(t *testing.T) {
	t.Parallel()
	files := berttest.Files(t, nil)
	plain, err := bert.Open(files)
	require.NoError(t, err)
	zipped := func(files fstest.MapFS, folder string) []byte {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		for name, file := range files {
			to, err := w.Create(folder + name)
			require.NoError(t, err)
			_, err = to.Write(file.Data)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return buf.Bytes()
	}
	reader := func(raw []byte) fs.FS {
		archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
		require.NoError(t, err)
		return archive
	}
	for name, where := range map[string]fs.FS{
		"zip": reader(zipped(files, "")), "folder of a zip": reader(zipped(files, "model/")),
		"wheel": reader(zipped(fstest.MapFS{"model.zip": {Data: zipped(files, "")}, "x.py": {}}, "package/")),
	} {
		e, err := bert.Open(where)
		require.NoError(t, err, name)
		require.Equal(t, embed(t, plain, "stop loss"), embed(t, e, "stop loss"), name)
	}
}

func TestFilesThatAreNotSuchAModelAreRefusedByName(t *testing.T) {
	t.Parallel()
	replace := func(name, old, with string) func(fstest.MapFS) {
		return func(files fstest.MapFS) {
			files[name] = &fstest.MapFile{Data: bytes.ReplaceAll(files[name].Data, []byte(old), []byte(with))}
		}
	}
	for message, change := range map[string]func(fstest.MapFS){
		"there is no model.safetensors":           func(f fstest.MapFS) { delete(f, "model.safetensors") },
		"tokenizer.json":                          func(f fstest.MapFS) { delete(f, "tokenizer.json") },
		`type "gpt2"`:                             replace("config.json", `"bert"`, `"gpt2"`),
		"sizes that no such model has":            replace("config.json", `"hidden_size":24`, `"hidden_size":25`),
		"has type F32 and shape [40 24]":          replace("config.json", `"vocab_size":40`, `"vocab_size":41`),
		"only WordPiece":                          replace("tokenizer.json", "WordPiece", "BPE"),
		"has no [SEP]":                            replace("tokenizer.json", "[SEP]", "[PES]"),
		"model.safetensors is damaged":            func(f fstest.MapFS) { f["model.safetensors"].Data = f["model.safetensors"].Data[:9000] },
		"damaged: unexpected end":                 func(f fstest.MapFS) { f["model.safetensors"].Data[0] = 40; f["model.safetensors"].Data[1] = 0 },
		"model.safetensors has no encoder.layer.": replace("model.safetensors", "encoder.layer.1.output.dense.bias", "encoder.layer.1.output.dense.BIAS"),
	} {
		_, err := bert.Open(berttest.Files(t, change))
		require.ErrorContains(t, err, message)
	}
}

// BenchmarkEmbed times a question, and a text of a full chunk.
func BenchmarkEmbed(b *testing.B) {
	file := os.Getenv("EMBEDDER_TEST_FILE")
	if file == "" {
		b.Skip("EMBEDDER_TEST_FILE is not set")
	}
	archive, err := zip.OpenReader(file)
	require.NoError(b, err)
	defer func() { _ = archive.Close() }()
	e, err := bert.Open(archive)
	require.NoError(b, err)
	for name, text := range map[string]string{
		"question": "At what price is my stop executed in a gap?", "chunk": strings.Repeat("The stop is executed at the open when the market gaps. ", 42),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := e.Embed(b.Context(), knowledge.ForDocument, []string{text})
				require.NoError(b, err)
			}
		})
	}
}
