package store

import (
	"encoding/binary"
	"math"

	"github.com/jackc/pgx/v5/pgtype"
)

// registerArrays has a connection send numbers of a slice as they are. By itself pgx plans and boxes each of them, which of a ranking of
// a million trials takes longer than to store it.
func registerArrays(types *pgtype.Map) {
	for name, encode := range map[string]slicePlan{
		"_int4":   encodeSlice[int32]{pgtype.Int4OID, 4, func(buf []byte, v int32) []byte { return binary.BigEndian.AppendUint32(buf, uint32(v)) }},
		"_int8":   encodeSlice[int64]{pgtype.Int8OID, 8, func(buf []byte, v int64) []byte { return binary.BigEndian.AppendUint64(buf, uint64(v)) }},
		"_float8": encodeSlice[float64]{pgtype.Float8OID, 8, func(buf []byte, v float64) []byte { return binary.BigEndian.AppendUint64(buf, math.Float64bits(v)) }},
	} {
		known, ok := types.TypeForName(name)
		if !ok {
			continue
		}
		if codec, ok := known.Codec.(*pgtype.ArrayCodec); ok {
			types.RegisterType(&pgtype.Type{Name: known.Name, OID: known.OID, Codec: numbersCodec{codec, encode}})
		}
	}
}

// slicePlan encodes the values that it takes.
type slicePlan interface {
	pgtype.EncodePlan
	takes(value any) bool
}

// numbersCodec sends slices of one type of numbers by encode, and leaves the rest to pgx.
type numbersCodec struct {
	*pgtype.ArrayCodec
	encode slicePlan
}

// PlanEncode implements pgtype.Codec.
func (c numbersCodec) PlanEncode(types *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode && c.encode.takes(value) {
		return c.encode
	}
	return c.ArrayCodec.PlanEncode(types, oid, format, value)
}

// encodeSlice writes a slice as Postgres receives an array of one dimension: its dimensions, whether there are nulls, the type of its
// elements, their number and the number of the first; then the length and the value of each.
type encodeSlice[T any] struct {
	element uint32
	size    int
	write   func(buf []byte, value T) []byte
}

func (encodeSlice[T]) takes(value any) bool { _, ok := value.([]T); return ok }

// Encode implements pgtype.EncodePlan. A nil slice is null.
func (e encodeSlice[T]) Encode(value any, buf []byte) ([]byte, error) {
	values := value.([]T)
	if values == nil {
		return nil, nil
	}
	for _, v := range []uint32{1, 0, e.element, uint32(len(values)), 1} {
		buf = binary.BigEndian.AppendUint32(buf, v)
	}
	for _, v := range values {
		buf = e.write(binary.BigEndian.AppendUint32(buf, uint32(e.size)), v)
	}
	return buf, nil
}
