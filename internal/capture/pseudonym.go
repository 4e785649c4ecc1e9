package capture

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Pseudonyms replaces text by text of the same shape, word by word: letters by letters of the same script and case, digits by
// digits; everything else stays. Texts that are equal, or equal but for case, stay so, and different texts stay different,
// because each word goes through a keyed permutation of all words of its shape. No word of two letters or more that can change stays as it is.
// It is for one goroutine at a time.
type Pseudonyms struct {
	cipher cipher.Block
	known  map[string]string // the words seen last
	pools  map[rune]symbol   // of the letters seen
	filled int               // texts that were too long

	decimal, first, zero, hex []rune // pools
	word                      []symbol
	free                      []*symbol
	data                      []byte
}

// Bounds of what is remembered: traffic says the same words again and again, but no long ones.
const (
	maxWords = 10_000
	maxKept  = 64 // bytes of a word
)

// maxText is how long a text may be to have a pseudonym, in bytes. Of a longer one only the shape stays.
const maxText = 4 << 10

// NewPseudonyms makes the pseudonyms of one key. Without the key they cannot be made again, nor undone.
func NewPseudonyms(key []byte) *Pseudonyms {
	sum := sha256.Sum256(append([]byte("jmld capture\x00"), key...))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	return &Pseudonyms{
		cipher: block, known: map[string]string{}, pools: map[rune]symbol{},
		decimal: []rune("0123456789"), first: []rune("123456789"), zero: []rune("0"), hex: []rune(hexDigits),
	}
}

const (
	bulkMark  = "bulkId:"
	hexDigits = "0123456789abcdef"
)

// Text is the pseudonym of a text. Truth values in letters, and the beginnings "bulkId:", "http://" and "https://" stay; a UUID
// becomes another UUID, a date another date. Of a text beyond 4 KiB only the shape stays: its letters and digits are all alike.
func (p *Pseudonyms) Text(s string) string {
	if isUUID(s) {
		return p.uuid(s)
	}
	if d, ok := p.date(s); ok {
		return d
	}
	if n := len(bulkMark); len(s) > n && s[:n] == bulkMark {
		return bulkMark + p.Text(s[n:])
	}
	for _, start := range [...]string{bulkMark, "https://", "http://"} {
		if len(s) > len(start) && strings.EqualFold(s[:len(start)], start) {
			return s[:len(start)] + p.words(s[len(start):])
		}
	}
	return p.words(s)
}

// id is Text for a place where ids of ours stand. They stay.
func (p *Pseudonyms) id(s string) string {
	if isOurID(s) {
		return s
	}
	return p.Text(s)
}

func (p *Pseudonyms) words(s string) string {
	if len(s) > maxText {
		return p.fill(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		class := classAt(s[i:])
		end := i
		for end < len(s) && classAt(s[end:]) == class {
			_, n := utf8.DecodeRuneInString(s[end:])
			end += n
		}
		switch class {
		case letters:
			b.WriteString(p.letters(s[i:end]))
		case digits:
			b.WriteString(p.number(s[i:end]))
		default:
			b.WriteString(s[i:end])
		}
		i = end
	}
	return b.String()
}

// fill keeps nothing but the shape: every letter is the first one of its kind, every digit a one but for zeros in front.
func (p *Pseudonyms) fill(s string) string {
	p.filled++
	var b strings.Builder
	b.Grow(len(s))
	was := others
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		now := classAt(s[i:])
		switch {
		case now == others:
			b.WriteString(s[i : i+n])
		case r >= utf8.RuneSelf || now == letters:
			c := p.letter(r)
			c.at = 0
			b.WriteRune(c.rune())
		case r == '0' && was != digits:
			b.WriteByte('0')
		default:
			b.WriteByte('1')
		}
		was = now
		i += n
	}
	return b.String()
}

type class uint8

const (
	others class = iota
	letters
	digits
)

func classAt(s string) class {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && n <= 1:
		return others
	case unicode.IsLetter(r), unicode.IsMark(r):
		return letters
	case unicode.IsDigit(r):
		return digits
	}
	return others
}

// letters permutes a run of letters. Truth values stay and are nobody's pseudonym: their meaning must neither be lost nor appear.
func (p *Pseudonyms) letters(s string) string {
	if out, ok := p.known[s]; ok {
		return out
	}
	out := p.newWord(s)
	if len(s) > maxKept {
		return out
	}
	if len(p.known) >= maxWords {
		clear(p.known)
	}
	p.known[strings.Clone(s)] = out // the text that it is of is not held by it
	return out
}

func (p *Pseudonyms) newWord(s string) string {
	for out := s; ; {
		if isTruth(out) && out == s {
			return out
		}
		out = p.permuted(out)
		if !isTruth(out) {
			return out
		}
	}
}

func isTruth(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

func (p *Pseudonyms) permuted(s string) string {
	p.word = p.word[:0]
	for _, r := range s {
		p.word = append(p.word, p.letter(r))
	}
	return p.permute(len(s))
}

// letter remembers the pools.
func (p *Pseudonyms) letter(r rune) symbol {
	s, ok := p.pools[r]
	if !ok {
		s = letter(r)
		if len(p.pools) < maxWords {
			p.pools[r] = s
		}
	}
	return s
}

// number permutes a run of digits. A zero in front stays one, and nothing else becomes one: 0049 and 49 are of another kind.
func (p *Pseudonyms) number(s string) string {
	p.word = p.word[:0]
	for i, r := range s {
		switch {
		case r >= utf8.RuneSelf:
			p.word = append(p.word, p.letter(r))
		case i > 0:
			p.word = append(p.word, symbol{pool: p.decimal, at: int(r - '0')})
		case r == '0':
			p.word = append(p.word, symbol{pool: p.zero})
		default:
			p.word = append(p.word, symbol{pool: p.first, at: int(r - '1')})
		}
	}
	return p.permute(len(s))
}

// uuid permutes the hexadecimal digits, but for version and variant.
func (p *Pseudonyms) uuid(s string) string {
	upper := s != strings.ToLower(s)
	p.word = p.word[:0]
	for i, r := range s {
		at := strings.IndexRune(hexDigits, unicode.ToLower(r))
		if at < 0 || i == 14 || i == 19 {
			p.word = append(p.word, symbol{pool: []rune{r}, upper: upper})
			continue
		}
		p.word = append(p.word, symbol{pool: p.hex, at: at, upper: upper})
	}
	return p.permute(len(s))
}

// date moves a date by a number of days that is the capture's own. Order and distances stay.
func (p *Pseudonyms) date(s string) (string, bool) {
	if !isDate(s) {
		return "", false
	}
	day, err := time.Parse(time.DateOnly, s[:10])
	if err != nil {
		return "", false
	}
	moved := day.AddDate(0, 0, -400-int(p.stream("date", nil).next(4000)))
	if moved.Year() < 1000 {
		moved = day.AddDate(0, 0, 400+int(p.stream("date", nil).next(4000)))
	}
	return moved.Format(time.DateOnly) + s[10:], true
}

// isDate says whether the text is a date, or a date and time, as xsd:dateTime writes it or as it is read, too: with a blank, or a day with
// an offset.
func isDate(s string) bool {
	if len(s) < 10 || len(s) > 40 || s[4] != '-' || s[7] != '-' {
		return false
	}
	if _, err := time.Parse(time.DateOnly, s[:10]); err != nil {
		return false
	}
	s = s[10:]
	if s == "" || s == "Z" {
		return true
	}
	switch s[0] {
	case 'T', 't':
	case ' ':
		if len(s) < len(" 10:00:00") || s[3] != ':' || s[6] != ':' {
			return false
		}
	case '+', '-':
		return len(s) == len("+02:00") && s[3] == ':' && strings.Trim(s[1:], "0123456789:") == ""
	default:
		return false
	}
	return len(s) >= 6 && strings.Trim(s[1:], "0123456789:.+-Zz") == ""
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// isOurID says whether the text is an id as we make them. It is nobody's name.
func isOurID(s string) bool { return isUUID(s) && s[14] == '7' && s == strings.ToLower(s) }

// symbol is one character: a place in the pool of those that may stand there.
type symbol struct {
	pool  []rune
	at    int
	upper bool
}

func (s symbol) rune() rune {
	r := s.pool[s.at]
	if s.upper {
		return unicode.ToUpper(r)
	}
	return r
}

// letter finds the pool of a letter: those in its block of 64 that are cased, or not, as it is. They take as many bytes.
func letter(r rune) symbol {
	base, upper := r, false
	kind := kindOf(r)
	if kind == 'U' {
		base, upper, kind = unicode.ToLower(r), true, 'l'
	}
	if kind == 0 { // marks and what has no fellow
		return symbol{pool: []rune{r}}
	}
	s := symbol{upper: upper}
	for c := base &^ 63; c <= base|63; c++ {
		if c == base {
			s.at = len(s.pool)
		}
		if kindOf(c) == kind {
			s.pool = append(s.pool, c)
		}
	}
	return s
}

// kindOf: 'l' and 'U' are letters with a simple other case of the same length, 'c' and 'C' small and capital letters without, 'd' digits.
func kindOf(r rune) byte {
	same := func(a, b rune) bool { return utf8.RuneLen(a) == utf8.RuneLen(b) }
	switch {
	case unicode.IsDigit(r):
		return 'd'
	case !unicode.IsLetter(r):
		return 0
	}
	if l := unicode.ToLower(r); l != r {
		if unicode.ToUpper(l) == r && same(l, r) {
			return 'U'
		}
		return 'C'
	}
	if u := unicode.ToUpper(r); u != r && unicode.ToLower(u) == r && same(u, r) {
		return 'l'
	}
	return 'c'
}

// permute returns the next word in an order that only the key knows: such a permutation leaves no word where it was.
func (p *Pseudonyms) permute(size int) string {
	p.free = p.free[:0]
	for i := range p.word {
		if len(p.word[i].pool) > 1 {
			p.free = append(p.free, &p.word[i])
		}
	}
	p.step(p.free)
	var b strings.Builder
	b.Grow(size)
	for _, c := range p.word {
		b.WriteRune(c.rune())
	}
	return b.String()
}

func (p *Pseudonyms) step(free []*symbol) {
	switch n := len(free); {
	case n == 0:
		return
	case n == 1:
		size := uint32(len(free[0].pool)) //nolint:gosec // at most 64
		step := 1 + p.stream("one", nil).next(size-1)
		free[0].at = int((uint32(free[0].at) + step) % size) //nolint:gosec // at most 64
		return
	}
	const rounds = 6
	for r := range rounds {
		p.round(free, r, 1)
	}
	for _, s := range free { // plus one, with carry
		if s.at = (s.at + 1) % len(s.pool); s.at != 0 {
			break
		}
	}
	for r := rounds - 1; r >= 0; r-- {
		p.round(free, r, -1)
	}
}

// round is one of a Feistel network over symbols: it adds to one half what the key makes of the other, or takes it away.
func (p *Pseudonyms) round(word []*symbol, n, sign int) {
	from, to := word[:len(word)/2], word[len(word)/2:]
	if n%2 == 1 {
		from, to = to, from
	}
	p.data = append(p.data[:0], byte(n), byte(len(to)))
	for _, s := range from {
		p.data = append(p.data, byte(s.at))
	}
	stream := p.stream("round", p.data)
	for _, s := range to {
		size := len(s.pool)
		s.at = ((s.at+sign*int(stream.next(uint32(size))))%size + size) % size //nolint:gosec // at most 64
	}
}

// stream is as many numbers as wanted that only the key knows: a CBC-MAC of the data (with its length in front), then the
// cipher in counter mode from there.
type stream struct {
	p    *Pseudonyms
	seed [aes.BlockSize]byte
	buf  [aes.BlockSize]byte
	at   int // in buf
	n    uint32
}

func (p *Pseudonyms) stream(tag string, data []byte) *stream {
	s := &stream{p: p, at: aes.BlockSize}
	copy(s.seed[4:], tag)
	binary.BigEndian.PutUint32(s.seed[:], uint32(len(data))) //nolint:gosec // a word
	p.cipher.Encrypt(s.seed[:], s.seed[:])
	for len(data) > 0 {
		n := subtle.XORBytes(s.seed[:], s.seed[:], data[:min(len(data), aes.BlockSize)])
		data = data[n:]
		p.cipher.Encrypt(s.seed[:], s.seed[:])
	}
	return s
}

func (s *stream) next(below uint32) uint32 {
	if s.at == len(s.buf) {
		s.buf = s.seed
		s.n++
		binary.BigEndian.PutUint32(s.buf[:], binary.BigEndian.Uint32(s.seed[:])^s.n)
		s.p.cipher.Encrypt(s.buf[:], s.buf[:])
		s.at = 0
	}
	v := binary.BigEndian.Uint32(s.buf[s.at:])
	s.at += 4
	return v % below
}
