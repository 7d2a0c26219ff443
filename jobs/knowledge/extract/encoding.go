package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// mostSniffed is how much of a text its encoding is judged by, in bytes.
const mostSniffed = 64 << 10

// legacy is the encoding of text that is not UTF-8: an East Asian one, else one byte a letter; nil when
// none makes sense of it.
func legacy(data []byte) encoding.Encoding {
	head := data[:min(len(data), mostSniffed)]
	if cut := strings.LastIndexAny(string(head), "\n "); len(head) == mostSniffed && cut > 0 {
		head = head[:cut] // no character is cut in two
	}
	if found := eastAsian(head); found != nil {
		return found
	}
	if high := highLetters(head); 2*high > letters(head) {
		return alphabetic(head)
	}
	return latin(head)
}

// highLetters are the bytes above ASCII.
func highLetters(data []byte) int {
	n := 0
	for _, b := range data {
		if b >= 0x80 {
			n++
		}
	}
	return n
}

// letters are the bytes that may be letters.
func letters(data []byte) int {
	n := 0
	for _, b := range data {
		if b >= 0x80 || b|0x20 >= 'a' && b|0x20 <= 'z' {
			n++
		}
	}
	return n
}

// eastAsian distinguishes the encodings of two bytes a character by which characters are common: syllables
// in Korean, kana in Japanese, and in Chinese those that the standards put first.
func eastAsian(data []byte) encoding.Encoding {
	for _, candidate := range []struct {
		from  encoding.Encoding
		usual func(lead, trail byte, r rune) bool
		least float64 // the part of the characters that are usual
	}{
		{korean.EUCKR, func(lead, trail byte, _ rune) bool { return lead >= 0xB0 && lead <= 0xC8 && trail >= 0xA1 }, 0.9},
		{japanese.ShiftJIS, func(_, _ byte, r rune) bool { return fullKana(r) }, 0.2},
		{japanese.EUCJP, func(_, _ byte, r rune) bool { return fullKana(r) }, 0.2},
		{simplifiedchinese.GB18030, func(lead, trail byte, _ rune) bool { return lead >= 0xB0 && lead <= 0xD7 && trail >= 0xA1 }, 0.85},
		{traditionalchinese.Big5, func(lead, _ byte, r rune) bool { return lead >= 0xA4 && lead <= 0xC6 && unicode.Is(unicode.Han, r) }, 0.85},
	} {
		if share, ok := usualShare(data, candidate.from, candidate.usual); ok && share >= candidate.least {
			return candidate.from
		}
	}
	return nil
}

func fullKana(r rune) bool { return r >= 0x3041 && r <= 0x30FF }

// leastCharacters are needed to judge an encoding of two bytes.
const leastCharacters = 3

// usualShare is the part of the letters beyond ASCII that are usual. Nothing may be left over.
func usualShare(data []byte, from encoding.Encoding, usual func(lead, trail byte, r rune) bool) (float64, bool) {
	decoded, err := from.NewDecoder().Bytes(data)
	if err != nil {
		return 0, false
	}
	total, common := 0, 0
	for len(decoded) > 0 {
		r, size := utf8.DecodeRune(decoded)
		decoded = decoded[size:]
		if r < 0x80 {
			continue
		}
		if r == utf8.RuneError || unicode.Is(unicode.Co, r) || r >= 0x80 && r < 0xA0 {
			return 0, false
		}
		if !unicode.IsLetter(r) || r >= 0xFF61 && r <= 0xFF9F && from != japanese.ShiftJIS {
			continue
		}
		total++
		pair, err := from.NewEncoder().Bytes([]byte(string(r)))
		if err == nil && len(pair) == 2 && usual(pair[0], pair[1], r) {
			common++
		}
	}
	return float64(common) / float64(max(total, 1)), total >= leastCharacters
}

// alphabetic distinguishes the encodings of other alphabets than the Latin one by the letters that are common in
// their languages.
func alphabetic(data []byte) encoding.Encoding {
	var best encoding.Encoding
	most := 0.5
	for _, candidate := range []struct {
		from   encoding.Encoding
		script *unicode.RangeTable
		common string
	}{
		{charmap.Windows1251, unicode.Cyrillic, "оеаинтсрвлкі"},
		{charmap.KOI8R, unicode.Cyrillic, "оеаинтсрвлкі"},
		{charmap.Windows1253, unicode.Greek, "αοιετσνηυρπς"},
		{charmap.Windows1255, unicode.Hebrew, "יוהלאמרתבשנ"},
		{charmap.Windows1256, unicode.Arabic, "ايلمنوترةبع"},
	} {
		decoded, err := candidate.from.NewDecoder().Bytes(data)
		if err != nil {
			continue
		}
		of, common, other := 0, 0, 0
		for _, r := range string(decoded) {
			switch {
			case r < 0x80:
			case unicode.Is(candidate.script, r):
				of++
				if strings.ContainsRune(candidate.common, r) {
					common++
				}
			case r == utf8.RuneError || unicode.IsLetter(r) || unicode.IsControl(r):
				other++
			}
		}
		if share := float64(common) / float64(max(of, 1)); of >= leastCharacters && other*20 <= of && share > most {
			best, most = candidate.from, share
		}
	}
	return best
}

// latin distinguishes the encodings of languages in Latin letters; nil when a letter in none of them stands
// for anything.
func latin(data []byte) encoding.Encoding {
	western, ok := inWords(data, charmap.Windows1252)
	has := func(letters string) bool { return strings.ContainsAny(western, letters) }
	switch {
	// Letters of the north and of the south in one text, or signs within words: it is of the east.
	case !ok, has("øØ") && has("ìèùÌÈÙ"), has("ìÌ") && has("èÈžšŽŠ"):
		if _, ok := inWords(data, charmap.Windows1250); ok {
			return charmap.Windows1250
		}
		return nil
	case has("ðþýÐÞÝ") && has("öüçÖÜÇ") && !has("áéíóúæÁÉÍÓÚÆ"):
		return charmap.Windows1254
	}
	return charmap.Windows1252
}

// inWords are the letters beyond ASCII of the text in an encoding. It is not ok when a byte stands for
// nothing, or a sign stands between two letters.
func inWords(data []byte, from *charmap.Charmap) (found string, ok bool) {
	var all strings.Builder
	letter := func(i int) bool { return i >= 0 && i < len(data) && unicode.IsLetter(from.DecodeByte(data[i])) }
	for i, b := range data {
		r := from.DecodeByte(b)
		switch {
		case b < 0x80:
		case r == utf8.RuneError || unicode.IsControl(r):
			return "", false
		case unicode.IsLetter(r) && r != 'ª' && r != 'º':
			all.WriteRune(r)
		case !strings.ContainsRune("’‘“”–—…·´`'\u00ad\u00a0", r) && letter(i-1) && letter(i+1):
			return "", false
		}
	}
	return all.String(), true
}
