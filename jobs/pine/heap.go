package pine

import (
	"errors"
	"math"

	"millrace/jobs/pine/ir"
)

// object is an array, a matrix, a map or a value of a user-defined type.
type object struct {
	vals []float64
	keys []float64 // of a map, in the order of insertion
	cols int       // of a matrix
	mark bool
	used bool
}

// heap holds a machine's objects; a reference is the number of one.
type heap struct {
	objects  []*object
	free     []int
	elements int // in all objects
	limit    int // objects at which the next collection is worth it
}

const (
	maxElements = 100_000
	maxObjects  = 100_000
)

var (
	errElements error = limitError("the script's collections hold more than 100000 elements")
	errNaObject       = errors.New("a collection that is na is used")
)

func newHeap() *heap { return &heap{limit: 4096} }

func (h *heap) reset() {
	h.free = h.free[:0]
	for i := len(h.objects) - 1; i >= 0; i-- {
		h.objects[i].used = false
		h.free = append(h.free, i)
	}
	h.elements, h.limit = 0, 4096
}

// get is the object of a reference, or nil.
func (h *heap) get(ref float64) *object {
	if ref != ref || ref < 0 || ref >= float64(len(h.objects)) || !h.objects[int(ref)].used {
		return nil
	}
	return h.objects[int(ref)]
}

// size is about how many elements a function of a reference's object works on.
func (h *heap) size(ref float64) int {
	if o := h.get(ref); o != nil {
		return len(o.vals) * max(1, o.cols) // what functions of matrices do grows so
	}
	return 0
}

// alloc makes an object of n elements.
func (h *heap) alloc(n int) (*object, float64, error) {
	if n < 0 || n > maxElements || h.elements+n > 8*maxElements || len(h.objects)-len(h.free) >= maxObjects {
		return nil, math.NaN(), errElements
	}
	var at int
	if k := len(h.free); k > 0 {
		at = h.free[k-1]
		h.free = h.free[:k-1]
	} else {
		at = len(h.objects)
		h.objects = append(h.objects, &object{})
	}
	o := h.objects[at]
	if cap(o.vals) < n {
		o.vals = make([]float64, n)
	}
	o.vals, o.keys, o.cols, o.used = o.vals[:n], o.keys[:0], 0, true
	h.elements += n
	return o, float64(at), nil
}

// grew counts elements added to an object.
func (h *heap) grew(n int) error {
	h.elements += n
	if h.elements > 8*maxElements {
		return errElements
	}
	return nil
}

// object makes a value of a user-defined type.
func (h *heap) object(fields []float64) (float64, error) {
	o, ref, err := h.alloc(len(fields))
	if err != nil {
		return ref, err
	}
	copy(o.vals, fields)
	return ref, nil
}

// collect frees, between bars, what no register and no history reaches. Every number in an object may
// be a reference: what looks like one is kept.
func (h *heap) collect(m *machine, p *ir.Program) {
	if len(h.objects)-len(h.free) < h.limit && h.elements < 2*maxElements {
		return
	}
	for reg, s := range m.c.slots {
		if s != noSlot && p.Slots[s].Type.IsReference() {
			h.reach(m.regs[reg])
		}
	}
	for i := range m.rings {
		r := &m.rings[i]
		if p.Slots[m.c.rings[i].Slot].Type.IsReference() {
			for k := range min(r.n, len(r.buf)) {
				h.reach(r.back(k))
			}
		}
	}
	live, elements := 0, 0
	h.free = h.free[:0]
	for i := len(h.objects) - 1; i >= 0; i-- {
		o := h.objects[i]
		if o.used && o.mark {
			live++
			elements += len(o.vals)
		} else {
			o.used = false
			h.free = append(h.free, i)
		}
		o.mark = false
	}
	h.elements = elements
	h.limit = max(4096, 2*live)
}

// reach marks an object and what it holds.
func (h *heap) reach(ref float64) {
	o := h.get(ref)
	if o == nil || o.mark || ref != math.Trunc(ref) {
		return
	}
	o.mark = true
	for _, v := range o.vals {
		h.reach(v)
	}
	for _, k := range o.keys {
		h.reach(k)
	}
}
