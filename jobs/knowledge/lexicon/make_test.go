package lexicon

import (
	"archive/zip"
	"cmp"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge/bert"
)

const (
	width = 128
	// firstWord is where the model's vocabulary, which goes by how frequent words are, begins after single characters.
	firstWord = 1996
)

// The committed table is what is made of the model. Where LEXICON_TEST_OUT is set it is written there.
func TestTheTableIsMadeOfTheModel(t *testing.T) {
	file := os.Getenv("EMBEDDER_TEST_FILE")
	if file == "" {
		t.Skip("EMBEDDER_TEST_FILE is not set: the table is taken as it is")
	}
	archive, err := zip.OpenReader(file)
	require.NoError(t, err)
	defer func() { _ = archive.Close() }()
	model, err := bert.Open(archive)
	require.NoError(t, err)
	require.Equal(t, "all-MiniLM-L6-v2", model.Model().Name)
	made := makeTable(t, model)
	if out := os.Getenv("LEXICON_TEST_OUT"); out != "" {
		require.NoError(t, os.WriteFile(out, made, 0o644))
	}
	committed, err := os.ReadFile("words.bin")
	require.NoError(t, err)
	require.Len(t, committed, len(made))
	var pieces int
	_, err = fmt.Sscan(string(made[:8]), &pieces)
	require.NoError(t, err)
	names := len(made) - width*pieces // what is before the vectors
	require.Equal(t, string(made[:names]), string(committed[:names]))
	apart := 0
	for i, b := range made[names:] {
		// Another processor rounds sums of floats otherwise.
		d := int(int8(b)) - int(int8(committed[names+i]))
		require.LessOrEqual(t, max(d, -d), 1)
		if d != 0 {
			apart++
		}
	}
	require.Less(t, apart, len(made)/100)
}

// makeTable is the vector of each piece as a text of its own, less what all have in common, on the 128 axes along which
// they differ most, the longer the rarer the piece, at eight bits a dimension.
func makeTable(t *testing.T, model *bert.Embedder) []byte {
	t.Helper()
	plain := regexp.MustCompile(`^(##)?[a-z0-9]+$`)
	var names []string
	var rows [][]float64
	var weights []float64
	for id, piece := range model.Pieces() {
		if !plain.MatchString(piece) {
			continue
		}
		v, err := model.EmbedPiece(t.Context(), id)
		require.NoError(t, err)
		row := make([]float64, len(v))
		for d, x := range v {
			row[d] = float64(x)
		}
		names, rows = append(names, piece), append(rows, row)
		weight := 0.07 // of a single character
		if id >= firstWord {
			weight = math.Log(1 + float64(max(id-firstWord, 1)))
		}
		weights = append(weights, weight)
	}
	axes := widest(rows, width)
	var values []float64
	for i, row := range rows {
		for _, axis := range axes {
			values = append(values, weights[i]*dot(row, axis))
		}
	}
	sizes := make([]float64, len(values))
	for i, v := range values {
		sizes[i] = math.Abs(v)
	}
	slices.Sort(sizes)
	step := sizes[len(sizes)-len(sizes)/2000] / 127
	made := []byte(fmt.Sprintf("%d %d\n%s\n", len(names), width, strings.Join(names, "\n")))
	for _, v := range values {
		made = append(made, byte(int8(max(-127, min(127, math.Round(v/step))))))
	}
	return made
}

func dot(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// widest takes the mean from rows and returns the axes along which they differ most: the first eigenvectors of their covariance.
func widest(rows [][]float64, most int) [][]float64 {
	n := len(rows[0])
	mean := make([]float64, n)
	for _, row := range rows {
		for d, x := range row {
			mean[d] += x / float64(len(rows))
		}
	}
	covariance, vectors := make([][]float64, n), make([][]float64, n)
	for i := range n {
		covariance[i], vectors[i] = make([]float64, n), make([]float64, n)
		vectors[i][i] = 1
	}
	for _, row := range rows {
		for d := range row {
			row[d] -= mean[d]
		}
		for i, x := range row {
			for j := range i + 1 {
				covariance[i][j] += x * row[j]
			}
		}
	}
	for i := range n {
		for j := range i {
			covariance[j][i] = covariance[i][j]
		}
	}
	diagonalize(covariance, vectors)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(covariance[b][b], covariance[a][a]) })
	axes := make([][]float64, most)
	for i := range axes {
		axes[i] = vectors[order[i]]
		// Of the two directions the one whose largest part is positive.
		if lowest, highest := slices.Min(axes[i]), slices.Max(axes[i]); -lowest > highest {
			for d := range axes[i] {
				axes[i][d] = -axes[i][d]
			}
		}
	}
	return axes
}

// diagonalize rotates a symmetric matrix until it is diagonal (Jacobi's method), and the rows of vectors with it.
func diagonalize(a, vectors [][]float64) {
	n := len(a)
	for range 12 {
		for p := range n {
			for q := p + 1; q < n; q++ {
				if math.Abs(a[p][q]) < 1e-13*math.Sqrt(math.Abs(a[p][p]*a[q][q])) {
					continue
				}
				tau := (a[q][q] - a[p][p]) / (2 * a[p][q])
				tan := math.Copysign(1, tau) / (math.Abs(tau) + math.Sqrt(1+tau*tau))
				cos := 1 / math.Sqrt(1+tan*tan)
				sin := tan * cos
				for k := range n {
					a[k][p], a[k][q] = cos*a[k][p]-sin*a[k][q], sin*a[k][p]+cos*a[k][q]
				}
				for k := range n {
					a[p][k], a[q][k] = cos*a[p][k]-sin*a[q][k], sin*a[p][k]+cos*a[q][k]
					vectors[p][k], vectors[q][k] = cos*vectors[p][k]-sin*vectors[q][k], sin*vectors[p][k]+cos*vectors[q][k]
				}
			}
		}
	}
}
