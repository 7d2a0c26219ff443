package extract_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"millrace/jobs/knowledge/extract"
)

// Every text is stored with the letters that were written, or refused, in any of the encodings.
func TestLegacyEncodingsAreReadAsWrittenOrRefused(t *testing.T) {
	t.Parallel()
	texts := []struct {
		name, text string
		from       []encoding.Encoding
	}{
		{"Japanese", "移動平均線のクロスは、横ばい相場では失敗しやすい。損切りを必ず設定すること。", []encoding.Encoding{japanese.ShiftJIS, japanese.EUCJP}},
		{"Japanese with English", "RSIが30を下回るときは買い。Exit は終値で。", []encoding.Encoding{japanese.ShiftJIS, japanese.EUCJP}},
		{"Chinese", "移动平均线在震荡市场中失效，必须设置止损。", []encoding.Encoding{simplifiedchinese.GBK, simplifiedchinese.GB18030}},
		{"Chinese with English", "布林带 (Bollinger) 收窄时，波动率较低，往往会出现大行情。", []encoding.Encoding{simplifiedchinese.GBK}},
		{"traditional Chinese", "移動平均線在震盪市場中失效，必須設置停損。", []encoding.Encoding{traditionalchinese.Big5}},
		{"Korean", "이동 평균선 교차는 횡보장에서 실패한다", []encoding.Encoding{korean.EUCKR}},
		{"Russian", "Скользящая средняя запаздывает, поэтому стоп обязателен.", []encoding.Encoding{charmap.Windows1251, charmap.KOI8R}},
		{"Greek", "Ο κινητός μέσος όρος καθυστερεί σε πλάγιες αγορές.", []encoding.Encoding{charmap.Windows1253}},
		{"Hebrew", "הממוצע הנע מפגר אחרי המחיר ולכן צריך עצירת הפסד", []encoding.Encoding{charmap.Windows1255}},
		{"Arabic", "المتوسط المتحرك يتأخر عن السعر ولذلك يجب وضع أمر إيقاف", []encoding.Encoding{charmap.Windows1256}},
		{"German", "Der gleitende Durchschnitt läuft dem Kurs hinterher; Verluste müssen größer „geschätzt“ werden – 5 €.", []encoding.Encoding{charmap.Windows1252}},
		{"French", "La moyenne mobile a du retard : la volatilité révèle où placer l’arrêt, naïvement.", []encoding.Encoding{charmap.Windows1252}},
		{"Polish", "Średnia krocząca spóźnia się, dlatego zlecenie obronne jest konieczne; łatwo się pomylić.", []encoding.Encoding{charmap.Windows1250}},
		{"Czech", "Klouzavý průměr se opožďuje, proto je nutný příkaz k omezení ztráty, který chrání účet před škodou.", []encoding.Encoding{charmap.Windows1250}},
		{"Turkish", "Hareketli ortalama gecikir, bu yüzden zarar durdur emri şarttır; çünkü değişim büyük.", []encoding.Encoding{charmap.Windows1254}},
		{"Danish", "Glidende gennemsnit er forsinkede, så et stop er nødvendigt på ægte markeder.", []encoding.Encoding{charmap.Windows1252}},
	}
	for _, test := range texts {
		for _, from := range test.from {
			for _, times := range []int{1, 3000} {
				data, err := from.NewEncoder().String(strings.Repeat(test.text+"\n\n", times))
				require.NoError(t, err, test.name)
				e, err := extract.Text([]byte(data), "x.txt")
				require.NoError(t, err, "%s in %v", test.name, from)
				require.Equal(t, test.text, e.Blocks[0].Text, "%s in %v", test.name, from)
			}
		}
	}
	for name, data := range map[string]string{
		"an encoding of mainframes": "\xc9\x95\xa2\xa3\x81\x93\x93\x40\xa3\x88\x85\x40\x97\x99\x96\x87\x99\x81\x94",
		"half a character each":     "\x81\xff\xfe\xfd\x80\xa0 \xff\xfe\xff",
	} {
		_, err := extract.Text([]byte(data), "x.txt")
		rejected(t, err, "not recognised")
		_ = name
	}
}
