package bert

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
)

// config is what config.json says of an encoder.
type config struct {
	Hidden     int     `json:"hidden_size"`
	Heads      int     `json:"num_attention_heads"`
	Layers     int     `json:"num_hidden_layers"`
	Inner      int     `json:"intermediate_size"`
	Positions  int     `json:"max_position_embeddings"`
	Vocabulary int     `json:"vocab_size"`
	Kinds      int     `json:"type_vocab_size"`
	Epsilon    float64 `json:"layer_norm_eps"`
	Activation string  `json:"hidden_act"`
	Type       string  `json:"model_type"`
}

func readConfig(raw []byte) (config, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("config.json: %w", err)
	}
	within := func(n, most int) bool { return n >= 1 && n <= most }
	switch {
	case c.Type != "bert":
		return c, fmt.Errorf("config.json is of a model of type %q: only bert is read", c.Type)
	case c.Activation != "gelu":
		return c, fmt.Errorf("config.json has the activation %q: only gelu is read", c.Activation)
	case !within(c.Hidden, 4096), !within(c.Heads, c.Hidden), c.Hidden%c.Heads != 0, !within(c.Layers, 48), !within(c.Inner, 1<<15),
		!within(c.Positions, 1<<13), !within(c.Vocabulary, 1<<20), !within(c.Kinds, 16), c.Epsilon < 0:
		return c, fmt.Errorf("config.json has sizes that no such model has")
	}
	return c, nil
}

// encoder is a transformer's encoder (Vaswani et al. 2017; Devlin et al. 2019).
type encoder struct {
	config
	words, places, kind []float32
	first               scale
	layers              []layer
	curve               *curve
}

// linear is out = in·weightsᵀ + bias.
type linear struct {
	weights, bias []float32
	in, out       int
	packed        []float32 // the weights as multiply wants them
}

// scale is layer normalisation's gain and bias.
type scale struct{ gain, bias []float32 }

type layer struct {
	query, key, value, joined linear
	afterAttention            scale
	wide, narrow              linear
	afterWide                 scale
}

func readEncoder(c config, t *tensors) (*encoder, error) {
	var failed error
	get := func(name string, shape ...int) []float32 {
		values, err := t.get(name, shape...)
		if err != nil && failed == nil {
			failed = err
		}
		return values
	}
	dense := func(name string, out, in int) linear {
		l := linear{weights: get(name+".weight", out, in), bias: get(name+".bias", out), in: in, out: out}
		if failed == nil {
			l.packed = pack(l.weights, out, in)
			l.weights = nil
		}
		return l
	}
	norm := func(name string) scale { return scale{get(name+".weight", c.Hidden), get(name+".bias", c.Hidden)} }
	e := &encoder{
		config: c, words: get("embeddings.word_embeddings.weight", c.Vocabulary, c.Hidden),
		places: get("embeddings.position_embeddings.weight", c.Positions, c.Hidden),
		kind:   get("embeddings.token_type_embeddings.weight", c.Kinds, c.Hidden),
		first:  norm("embeddings.LayerNorm"),
		curve:  newCurve(),
	}
	for i := range c.Layers {
		at := fmt.Sprintf("encoder.layer.%d.", i)
		e.layers = append(e.layers, layer{
			query: dense(at+"attention.self.query", c.Hidden, c.Hidden), key: dense(at+"attention.self.key", c.Hidden, c.Hidden),
			value: dense(at+"attention.self.value", c.Hidden, c.Hidden), joined: dense(at+"attention.output.dense", c.Hidden, c.Hidden),
			afterAttention: norm(at + "attention.output.LayerNorm"),
			wide:           dense(at+"intermediate.dense", c.Inner, c.Hidden), narrow: dense(at+"output.dense", c.Hidden, c.Inner),
			afterWide: norm(at + "output.LayerNorm"),
		})
	}
	return e, failed
}

// encode is the last layer's state of each token, row by row. The only error is that of ctx.
func (e *encoder) encode(ctx context.Context, ids []int32) ([]float32, error) {
	n, h := len(ids), e.Hidden
	x := make([]float32, n*h)
	for i, id := range ids {
		row, word, place := x[i*h:(i+1)*h], e.words[int(id)*h:], e.places[i*h:]
		for j := range row {
			row[j] = word[j] + place[j] + e.kind[j]
		}
	}
	e.normalize(x, e.first)
	q, k, v, mixed := make([]float32, n*h), make([]float32, n*h), make([]float32, n*h), make([]float32, n*h)
	out, wide := make([]float32, n*h), make([]float32, n*e.Inner)
	for _, l := range e.layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l.query.apply(q, x, n)
		l.key.apply(k, x, n)
		l.value.apply(v, x, n)
		e.attend(mixed, q, k, v, n)
		l.joined.apply(out, mixed, n)
		add(x, out)
		e.normalize(x, l.afterAttention)
		l.wide.apply(wide, x, n)
		share(n, func(row int) {
			inner := wide[row*e.Inner : (row+1)*e.Inner]
			for i, value := range inner {
				inner[i] = e.curve.gelu(value)
			}
		})
		l.narrow.apply(out, wide, n)
		add(x, out)
		e.normalize(x, l.afterWide)
	}
	return x, nil
}

// normalize brings each row to mean 0 and variance 1, and scales it.
func (e *encoder) normalize(x []float32, s scale) {
	h := e.Hidden
	for at := 0; at < len(x); at += h {
		row := x[at : at+h]
		var sum, square float64
		for _, v := range row {
			sum += float64(v)
		}
		mean := sum / float64(h)
		for _, v := range row {
			square += (float64(v) - mean) * (float64(v) - mean)
		}
		factor := 1 / math.Sqrt(square/float64(h)+e.Epsilon)
		for j, v := range row {
			row[j] = float32((float64(v)-mean)*factor)*s.gain[j] + s.bias[j]
		}
	}
}

func add(x, y []float32) {
	for i, v := range y {
		x[i] += v
	}
}

// apply computes out for n rows of in.
func (l *linear) apply(out, in []float32, n int) { multiply(out, in, l.packed, l.bias, n, l.in, l.out) }
