package bert

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// tensors are the weights of a safetensors file: eight bytes with the length of a JSON header, the
// header, and the numbers.
type tensors struct {
	entries map[string]entry
	data    []byte
}

type entry struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

var errTensors = errors.New("model.safetensors is damaged")

func readTensors(raw []byte) (*tensors, error) {
	if len(raw) < 8 {
		return nil, errTensors
	}
	size := binary.LittleEndian.Uint64(raw)
	if size > uint64(len(raw)-8) {
		return nil, errTensors
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(raw[8:8+size], &header); err != nil {
		return nil, fmt.Errorf("%w: %w", errTensors, err)
	}
	t := &tensors{entries: map[string]entry{}, data: raw[8+size:]}
	for name, value := range header {
		if name == "__metadata__" {
			continue
		}
		var e entry
		if err := json.Unmarshal(value, &e); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errTensors, name, err)
		}
		t.entries[name] = e
	}
	return t, nil
}

// get reads a tensor of a shape in single precision.
func (t *tensors) get(name string, shape ...int) ([]float32, error) {
	e, ok := t.entries[name]
	if !ok {
		e, ok = t.entries["bert."+name]
	}
	if !ok {
		return nil, fmt.Errorf("model.safetensors has no %s: it is not an encoder of the BERT family", name)
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	same := len(e.Shape) == len(shape)
	for i := 0; same && i < len(shape); i++ {
		same = e.Shape[i] == shape[i]
	}
	width := map[string]int{"F32": 4, "F16": 2, "BF16": 2}[e.Type]
	if !same || width == 0 {
		return nil, fmt.Errorf("%s has type %s and shape %v, not F32, F16 or BF16 and %v", name, e.Type, e.Shape, shape)
	}
	from, to := e.Offsets[0], e.Offsets[1]
	if from < 0 || to > len(t.data) || to-from != n*width {
		return nil, fmt.Errorf("%w: %s", errTensors, name)
	}
	values, raw := make([]float32, n), t.data[from:to]
	for i := range values {
		switch e.Type {
		case "F32":
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		case "BF16":
			values[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		default:
			values[i] = half(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		if v := values[i]; v != v || v > math.MaxFloat32 || v < -math.MaxFloat32 {
			return nil, fmt.Errorf("%w: %s holds what is not a number", errTensors, name)
		}
	}
	return values, nil
}

// half is a number in half precision.
func half(bits uint16) float32 {
	exponent, fraction := int(bits>>10&0x1F), float64(bits&0x3FF)
	value := math.Ldexp(1+fraction/1024, exponent-15)
	switch exponent {
	case 0:
		value = math.Ldexp(fraction/1024, -14)
	case 31:
		value = math.Inf(1)
	}
	if bits>>15 == 1 {
		value = -value
	}
	return float32(value)
}
