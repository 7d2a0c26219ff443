// Package pdftest makes PDF files for tests, good and bad, so that none has to be kept.
package pdftest

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// Writer writes the objects of a PDF file.
type Writer struct {
	buf     bytes.Buffer
	offsets []int
}

// Object adds an object and returns its number.
func (w *Writer) Object(body string) int {
	if w.buf.Len() == 0 {
		w.buf.WriteString("%PDF-1.4\n")
	}
	w.offsets = append(w.offsets, w.buf.Len())
	fmt.Fprintf(&w.buf, "%d 0 obj\n%s\nendobj\n", len(w.offsets), body)
	return len(w.offsets)
}

// Stream adds an object that holds data.
func (w *Writer) Stream(dict string, data []byte) int {
	return w.Object(fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data))
}

// Bytes ends the file; the first object is its catalog.
func (w *Writer) Bytes(trailer string) []byte {
	at := w.buf.Len()
	fmt.Fprintf(&w.buf, "xref\n0 %d\n0000000000 65535 f \n", len(w.offsets)+1)
	for _, offset := range w.offsets {
		fmt.Fprintf(&w.buf, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&w.buf, "trailer << /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(w.offsets)+1, trailer, at)
	return bytes.Clone(w.buf.Bytes())
}

// Text makes a file with a page for each text, line by line.
func Text(pages ...string) []byte {
	contents := make([][]byte, len(pages))
	for i, page := range pages {
		var content strings.Builder
		content.WriteString("BT /F1 11 Tf 14 TL 50 750 Td\n")
		for line := range strings.SplitSeq(page, "\n") {
			fmt.Fprintf(&content, "(%s) Tj T*\n", strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(line))
		}
		contents[i] = []byte(content.String() + "ET")
	}
	return build(contents, "", "", "")
}

// Unmapped makes a file that shows a text whose letters cannot be read: its font maps them to private code points.
func Unmapped(page string) []byte {
	var w Writer
	w.Object("<< /Type /Catalog /Pages 2 0 R >>")
	w.Object("<< /Type /Pages /Count 1 /Kids [4 0 R] >>")
	w.Object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>")
	w.Object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>")
	w.Stream("", []byte("BT /F1 18 Tf 24 TL 50 700 Td ("+page+") Tj ET"))
	w.Stream("", []byte("/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Private def /CMapType 2 def\n"+
		"1 begincodespacerange <00> <FF> endcodespacerange\n1 beginbfrange <21> <7E> <E021> endbfrange\nendcmap end end"))
	return w.Bytes("")
}

// build makes a file with a page for each content stream.
func build(contents [][]byte, filter, resources, trailer string) []byte {
	var w Writer
	w.Object("<< /Type /Catalog /Pages 2 0 R >>")
	kids := make([]string, len(contents))
	for i := range contents {
		kids[i] = fmt.Sprintf("%d 0 R", 4+2*i)
	}
	w.Object(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", len(contents), strings.Join(kids, " ")))
	w.Object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	for i, content := range contents {
		w.Object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> %s >> /Contents %d 0 R >>", resources, 5+2*i))
		w.Stream(filter, content)
	}
	info := w.Object("<< /Title (A title) /Author (An author) /CreationDate (D:20240203100000Z) >>")
	return w.Bytes(fmt.Sprintf("/Info %d 0 R %s", info, trailer))
}

// Notes makes a file of one page with a comment, a text box, a mark, and a form whose fields are filled or empty.
func Notes() []byte {
	const rect = "/Rect [50 50 200 70] /P 4 0 R"
	var w Writer
	w.Object("<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R 7 0 R 8 0 R 9 0 R 15 0 R] >> >>")
	w.Object("<< /Type /Pages /Count 1 /Kids [4 0 R] >>")
	w.Object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	w.Object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R " +
		"/Annots [6 0 R 7 0 R 8 0 R 9 0 R 10 0 R 11 0 R 12 0 R 13 0 R 14 0 R 16 0 R] >>")
	w.Stream("", []byte("BT /F1 11 Tf 50 750 Td (A printed line of the form.) Tj ET"))
	field := "<< /Type /Annot /Subtype /Widget " + rect
	w.Object(field + " /FT /Tx /T (broker) /TU (Name of the broker) /V (Example Securities) >>")
	w.Object(field + " /FT /Tx /T (empty) >>")
	w.Object(field + " /FT /Btn /T (margin) /V /Yes /AS /Yes /AP << /N << /Yes 5 0 R /Off 5 0 R >> >> >>")
	w.Object(field + " /FT /Ch /Ff 131072 /T (market) /Opt [(futures) (spot)] /V (futures) >>")
	note := "<< /Type /Annot " + rect
	w.Object(note + " /Subtype /Text /Contents (The commission is three basis points.) /Popup 13 0 R >>")
	w.Object(note + " /Subtype /FreeText /Contents <FEFF00BD002000730070007200650061006400200069007300200070006100690064> >>")
	w.Object(note + " /Subtype /Highlight /QuadPoints [50 760 200 760 50 745 200 745] /Contents (Verify this line.) >>")
	w.Object(note + " /Subtype /Popup /Parent 10 0 R /Contents (not read twice) >>")
	w.Object(note + " /Subtype /Link /Contents (not read) >>")
	w.Object("<< /FT /Tx /T (parent) /V (inherited value) /Kids [16 0 R] >>")
	w.Object(field + " /Parent 15 0 R >>")
	return w.Bytes("")
}

// Encrypted makes a file that needs a password.
func Encrypted() []byte {
	junk := strings.Repeat("5a", 32)
	return build([][]byte{[]byte("BT ET")}, "", "",
		"/ID [<00> <00>] /Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <"+junk+"> /U <"+junk+"> >>")
}

// Inflating makes a file of a few megabytes whose page unpacks to as many gigabytes of spaces.
func Inflating(gigabytes int) []byte {
	const block = 1 << 20
	var packed bytes.Buffer
	pack := zlib.NewWriter(&packed)
	spaces := bytes.Repeat([]byte{' '}, block)
	grow := func() []byte {
		start := packed.Len()
		_, _ = pack.Write(spaces)
		_ = pack.Flush()
		return bytes.Clone(packed.Bytes()[start:])
	}
	grow()
	// With nothing but spaces before it, the same block unpacks to the same spaces wherever it stands.
	again := grow()
	for range gigabytes<<30/block - 2 {
		packed.Write(again)
	}
	return build([][]byte{packed.Bytes()}, "/Filter /FlateDecode", "", "")
}

// Laughing makes a small file whose page draws ten forms, each of which draws ten others, and so on.
func Laughing(depth int) []byte {
	var w Writer
	w.Object("<< /Type /Catalog /Pages 2 0 R >>")
	w.Object("<< /Type /Pages /Count 1 /Kids [4 0 R] >>")
	w.Object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	w.Object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /XObject << /X 6 0 R >> >> /Contents 5 0 R >>")
	w.Stream("", []byte(strings.Repeat("/X Do ", 10)))
	for i := range depth {
		w.Stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> /XObject << /X %d 0 R >> >>", 7+i),
			[]byte(strings.Repeat("/X Do BT /F1 9 Tf (ha) Tj ET ", 10)))
	}
	w.Stream("/Type /XObject /Subtype /Form /BBox [0 0 612 792]", []byte("q Q"))
	return w.Bytes("")
}
