package pricefile

import (
	"encoding/binary"
	"errors"
)

// The types of Thrift's compact protocol.
const (
	thriftTrue = 1 + iota
	thriftFalse
	thriftI8
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

var (
	errThriftCut  = errors.New("a length exceeds the data")
	errThriftType = errors.New("unknown Thrift type")
	errThriftDeep = errors.New("nested too deeply")
)

// skimStruct returns how many bytes the compact-protocol struct at the start of b takes. It
// succeeds only if every list, map and text in it fits in b, so a decoder that allocates by those
// lengths allocates in proportion to b.
func skimStruct(b []byte, depth int) (int, error) {
	for at := 0; at < len(b); {
		field := b[at]
		at++
		if field == 0 {
			return at, nil
		}
		if field>>4 == 0 { // the field's number follows
			_, used := binary.Uvarint(b[at:])
			if used <= 0 {
				return 0, errThriftCut
			}
			at += used
		}
		kind := field & 15
		if kind == thriftTrue || kind == thriftFalse {
			continue // a field's boolean is its type
		}
		used, err := skimValue(b[at:], kind, depth)
		if err != nil {
			return 0, err
		}
		at += used
	}
	return 0, errThriftCut
}

// skimValue returns how many bytes a value takes inside a list or a field.
func skimValue(b []byte, kind byte, depth int) (int, error) {
	const deepest = 32
	if depth > deepest {
		return 0, errThriftDeep
	}
	size := 0
	switch kind {
	case thriftTrue, thriftFalse, thriftI8:
		size = 1
	case thriftDouble:
		size = 8
	case thriftI16, thriftI32, thriftI64:
		if _, size = binary.Uvarint(b); size <= 0 {
			return 0, errThriftCut
		}
	case thriftBinary:
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return 0, errThriftCut
		}
		size = used + int(n)
	case thriftList, thriftSet:
		return skimList(b, depth)
	case thriftMap:
		return skimMap(b, depth)
	case thriftStruct:
		return skimStruct(b, depth+1)
	default:
		return 0, errThriftType
	}
	if size > len(b) {
		return 0, errThriftCut
	}
	return size, nil
}

func skimList(b []byte, depth int) (int, error) {
	if len(b) == 0 {
		return 0, errThriftCut
	}
	n, at := uint64(b[0]>>4), 1
	if n == 15 {
		var used int
		if n, used = binary.Uvarint(b[1:]); used <= 0 {
			return 0, errThriftCut
		}
		at += used
	}
	return skimItems(b, at, n, depth, b[0]&15)
}

func skimMap(b []byte, depth int) (int, error) {
	n, at := binary.Uvarint(b)
	if at <= 0 {
		return 0, errThriftCut
	}
	if n == 0 {
		return at, nil
	}
	if at >= len(b) {
		return 0, errThriftCut
	}
	return skimItems(b, at+1, n, depth, b[at]>>4, b[at]&15)
}

// skimItems skips n times one value of each kind; every value takes at least a byte.
func skimItems(b []byte, at int, n uint64, depth int, kinds ...byte) (int, error) {
	if n > uint64(len(b)-at) {
		return 0, errThriftCut
	}
	for range n {
		for _, kind := range kinds {
			used, err := skimValue(b[at:], kind, depth+1)
			if err != nil {
				return 0, err
			}
			at += used
		}
	}
	return at, nil
}
