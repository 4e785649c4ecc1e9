package policy

import (
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"golang.org/x/text/unicode/norm"
)

// letters are those that Unicode does not take apart (NFKD), in the letters of English: Latin and Cyrillic as passports have them
// (ICAO Doc 9303 part 3), where an umlaut is its plain letter; Greek by ISO 843.
func letters() map[rune]string {
	m := map[rune]string{
		'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ħ': "h", 'ı': "i", 'ŋ': "n", 'ŧ': "t", 'ə': "e", 'ĸ': "k",
		'ж': "zh", 'х': "kh", 'ц': "ts", 'ч': "ch", 'ш': "sh", 'щ': "shch", 'ъ': "ie", 'ь': "", 'ю': "iu", 'я': "ia", 'є': "ie", 'љ': "lj", 'њ': "nj",
		'ђ': "dj", 'џ': "dz", 'ѕ': "dz", 'θ': "th", 'χ': "ch", 'ψ': "ps",
	}
	pairs := []string{"абвгдезиклмнопрстуфыэіґјћ", "abvgdeziklmnoprstufyeigjc", "αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo"}
	for i := 0; i < len(pairs); i += 2 {
		to := []rune(pairs[i+1])
		for j, from := range []rune(pairs[i]) {
			m[from] = string(to[j])
		}
	}
	return m
}

// customs are how some languages write letters of their own.
func customs() map[string]map[rune]string {
	return map[string]map[rune]string{
		"de":     {'ä': "ae", 'ö': "oe", 'ü': "ue"},
		"nordic": {'ä': "ae", 'ö': "oe", 'ø': "oe", 'å': "aa"},
	}
}

// transliterator writes text in ASCII letters. What it does not know, it leaves out.
type transliterator struct {
	letters map[rune]string
	customs map[string]map[rune]string
}

func newTransliterator() *transliterator { return &transliterator{letters(), customs()} }

func (t *transliterator) ascii(text, custom string) string {
	var b strings.Builder
	own := t.customs[custom]
	before := rune(0)
	for _, r := range norm.NFC.String(text) {
		small := unicode.ToLower(r)
		to, ok := own[small]
		if !ok {
			for _, part := range norm.NFKD.String(string(small)) {
				switch one, known := t.letters[part]; {
				case part < 0x80:
					to += string(part)
				case before == 'ο' && part == 'υ': // the Greek vowel u is written with two letters
					to += "u"
				case known:
					to += one
				}
			}
		}
		if small != r && to != "" {
			to = strings.ToUpper(to[:1]) + to[1:]
		}
		b.WriteString(to)
		before = small
	}
	return b.String()
}

// slug is ASCII letters and digits in small letters; whatever else is between them becomes one hyphen.
func slug(ascii string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(ascii) {
		switch {
		case r == '\'': // O'Neil
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		default:
			gap = true
		}
	}
	return b.String()
}

// firstOf is the first n characters, or all when there are fewer.
func firstOf(text string, n int64) string {
	for i := range text {
		if n <= 0 {
			return text[:i]
		}
		n--
	}
	return text
}

// nameOptions are the functions that names are made with: translit(), translit("de"), slug() and first(n) of a text.
func nameOptions() []cel.EnvOption {
	t := newTransliterator()
	str := cel.StringType
	unary := func(do func(string) string) cel.OverloadOpt {
		return cel.UnaryBinding(func(v ref.Val) ref.Val {
			s, ok := v.(types.String)
			if !ok {
				return types.MaybeNoSuchOverloadErr(v)
			}
			return types.String(do(string(s)))
		})
	}
	out := []cel.EnvOption{
		cel.Function("translit",
			cel.MemberOverload("string_translit", []*cel.Type{str}, str, unary(func(s string) string { return t.ascii(s, "") })),
			cel.MemberOverload("string_translit_string", []*cel.Type{str, str}, str, cel.BinaryBinding(func(v, how ref.Val) ref.Val {
				s, ok := v.(types.String)
				custom, isText := how.(types.String)
				switch {
				case !ok || !isText:
					return types.MaybeNoSuchOverloadErr(v)
				case t.customs[string(custom)] == nil:
					return types.NewErr(`translit(%q) is not known; expected "de" or "nordic"`, string(custom))
				}
				return types.String(t.ascii(string(s), string(custom)))
			}))),
		cel.Function("slug", cel.MemberOverload("string_slug", []*cel.Type{str}, str, unary(func(s string) string { return slug(t.ascii(s, "")) }))),
		cel.Function("first", cel.MemberOverload("string_first", []*cel.Type{str, cel.IntType}, str, cel.BinaryBinding(func(v, n ref.Val) ref.Val {
			s, ok := v.(types.String)
			count, isInt := n.(types.Int)
			if !ok || !isInt {
				return types.MaybeNoSuchOverloadErr(v)
			}
			return types.String(firstOf(string(s), int64(count)))
		}))),
	}
	for _, overload := range []string{"string_translit", "string_translit_string", "string_slug", "string_first"} {
		out = append(out, cel.CostModel(cost.MemberOverload(overload,
			cost.EvalCost(cost.Sum(cost.Const(cost.CallCost), cost.StringScan(cost.Length(cost.Target())))),
			cost.ResultSize(cost.AtMost(cost.Scale(cost.Target(), 4)))))) // щ is four letters
	}
	return out
}
