package pdf

import (
	"errors"
	"strings"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/responses"

	"millrace/jobs/knowledge"
	"millrace/ops/routine"
)

// maxNotes is the most annotations and fields of a page that are read.
const maxNotes = 10_000

// notes reads what stands on a page beside its content: comments, text boxes and remarks on marked passages, and the
// values of filled fields as in "Broker: Example". The library indexes by numbers that the file states, so what panics
// there is an error here.
func (f *file) notes(page references.FPDF_PAGE) (notes []string, err error) {
	err = routine.Do(func() error {
		at := requests.Page{ByReference: &page}
		count, err := f.sandbox.FPDFPage_GetAnnotCount(&requests.FPDFPage_GetAnnotCount{Page: at})
		if err != nil || count.Count <= 0 {
			return err
		}
		if count.Count > maxNotes {
			return knowledge.Rejectf("a page of the PDF has %d annotations: the limit is %d, so remove some", count.Count, maxNotes)
		}
		fields := false
		for i := range count.Count {
			note, field, err := f.note(at, i)
			if err != nil {
				return err
			}
			fields = fields || field
			if note != "" {
				notes = append(notes, note)
			}
		}
		if !fields {
			return nil
		}
		form, err := f.sandbox.GetForm(&requests.GetForm{Page: at})
		if err != nil {
			return err
		}
		for _, field := range form.Fields {
			if value := valueOf(field); value != "" {
				notes = append(notes, value)
			}
		}
		return nil
	})
	for _, note := range notes {
		f.text += len(note)
	}
	if f.text > f.engine.opts.MaxText {
		return nil, f.tooLong()
	}
	return notes, err
}

// note reads one annotation; field reports whether it is a field of a form, which GetForm reads.
func (f *file) note(page requests.Page, index int) (note string, field bool, err error) {
	made, err := f.sandbox.FPDFPage_GetAnnot(&requests.FPDFPage_GetAnnot{Page: page, Index: index})
	if err != nil {
		return "", false, err
	}
	defer func() {
		_, closeErr := f.sandbox.FPDFPage_CloseAnnot(&requests.FPDFPage_CloseAnnot{Annotation: made.Annotation})
		err = errors.Join(err, closeErr)
	}()
	kind, err := f.sandbox.FPDFAnnot_GetSubtype(&requests.FPDFAnnot_GetSubtype{Annotation: made.Annotation})
	if err != nil {
		return "", false, err
	}
	switch kind.Subtype {
	case enums.FPDF_ANNOT_SUBTYPE_WIDGET:
		return "", true, nil
	case enums.FPDF_ANNOT_SUBTYPE_POPUP, enums.FPDF_ANNOT_SUBTYPE_LINK:
		return "", false, nil // the window of another annotation, and what readers show of an address
	}
	has, err := f.sandbox.FPDFAnnot_HasKey(&requests.FPDFAnnot_HasKey{Annotation: made.Annotation, Key: "Contents"})
	if err != nil || !has.HasKey {
		return "", false, err
	}
	contents, err := f.sandbox.FPDFAnnot_GetStringValue(&requests.FPDFAnnot_GetStringValue{Annotation: made.Annotation, Key: "Contents"})
	if err != nil {
		return "", false, err
	}
	return strings.TrimSpace(strings.ReplaceAll(contents.Value, "\r", "\n")), false, nil
}

// valueOf is a field as a line; "" when nothing is filled in. A field's tooltip says more than its name.
func valueOf(field responses.FormField) string {
	label, value := field.ToolTip, ""
	if label == "" {
		label = field.Name
	}
	switch field.Type {
	case enums.FPDF_FORMFIELD_TYPE_PUSHBUTTON, enums.FPDF_FORMFIELD_TYPE_SIGNATURE:
		return ""
	case enums.FPDF_FORMFIELD_TYPE_CHECKBOX:
		if field.IsChecked != nil && *field.IsChecked {
			value = "yes"
		}
	case enums.FPDF_FORMFIELD_TYPE_LISTBOX, enums.FPDF_FORMFIELD_TYPE_COMBOBOX:
		value = strings.Join(field.Values, ", ")
	default:
		if field.Value != nil {
			value = strings.TrimSpace(strings.ReplaceAll(*field.Value, "\r", "\n"))
		}
	}
	if value == "" || label == "" {
		return value
	}
	return label + ": " + value
}
