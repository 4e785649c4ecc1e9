package ldapsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

const (
	// overlap is how far back the stamps are looked at again: replicas with clocks of their own write into the past.
	overlap = 10 * time.Minute
	// mostRemembered entries of the overlap are kept by their stamps, so that they are not read again and again.
	mostRemembered = 4000
	// mostChanged entries are read one by one.
	mostChanged = 10_000

	stampForm = "20060102150405Z" // GeneralizedTime, RFC 4517 §3.3.13, as it stands in filters
)

// position is up to where changes are known, by values of the server alone.
type position struct {
	Method  entry.Method `json:"method,omitempty"`  // "": change stamps
	Instead entry.Method `json:"instead,omitempty"` // the method that is configured and could not be used
	Cookie  string       `json:"cookie,omitempty"`  // RFC 4533
	Number  int64        `json:"number,omitempty"`  // of the last change
	Root    string       `json:"root,omitempty"`    // below which changes are looked for, when it is not the base
	Service string       `json:"service,omitempty"` // what the number is counted by
	Time    string       `json:"time,omitempty"`    // of the server, when it told the position
	Blind   bool         `json:"blind,omitempty"`   // who was deleted is not shown to us
	Last    string       `json:"last,omitempty"`    // id of the entry that is seen to have changed last
	LastAt  int64        `json:"lastAt,omitempty"`  // and its number

	Server string            `json:"server,omitempty"` // where the stamps are the server's own
	Base   string            `json:"base"`             // id of the entry below which changes are looked for
	At     string            `json:"at,omitempty"`     // newest stamp seen
	Floor  string            `json:"floor,omitempty"`  // nothing before is looked at again
	Seen   map[string]string `json:"seen,omitempty"`   // id → stamp of the entries in the overlap
	Looked time.Time         `json:"looked,omitzero"`  // when Seen was seen, by our clock: only how long ago that is counts
}

// unsure marks a stamp of whole seconds: the entry may have changed once more within the second in which it was read. It is read
// again until a run that comes later than that second.
const unsure = "?"

// second is more than a server's clock takes for one, and ours are allowed to differ.
const second = 3 * time.Second

func (p position) empty() bool { return p.At == "" && p.Method == "" }

func (p position) String() string {
	if p.empty() {
		return ""
	}
	b, err := json.Marshal(p)
	if err != nil { // strings only
		return ""
	}
	return string(b)
}

// from is the stamp from which on changes are looked at.
func (p position) from() string {
	at, err := time.Parse(stampForm, p.At)
	if err != nil {
		return p.At
	}
	return max(at.Add(-overlap).Format(stampForm), p.Floor)
}

// ahead says that a stamp lies so far in the future that newer ones would be missed. Our clock only makes doubts.
func (s *Source) ahead(at string) *model.Doubt {
	if at <= s.now().UTC().Add(overlap).Format(stampForm) {
		return nil
	}
	return &model.Doubt{Text: "the newest change stamp, " + at + ", lies in the future, and changes before it would not be seen"}
}

// stamp is the attribute with the time of an entry's last change; "" when changes are not read.
func (s *Source) stamp() string {
	switch {
	case !s.o.Delta || s.o.Incremental == entry.MethodNone:
		return ""
	case strings.EqualFold(s.o.ID, "objectGUID"): // Active Directory's modifyTimestamp cannot be searched for
		return "whenChanged"
	}
	return "modifyTimestamp"
}

// idAttrs is what is asked for when entries are merely listed.
func (r *run) idAttrs() []string {
	if r.stamps {
		return []string{r.src.o.ID, r.src.stamp()}
	}
	return []string{r.src.o.ID}
}

// stampOf is the entry's stamp in the form that can be compared, "" when it shows none.
func (s *Source) stampOf(e *wire.Entry) string {
	values := rawValues(e, s.stamp())
	if len(values) != 1 {
		return ""
	}
	text := strings.Replace(string(values[0]), ".0Z", "Z", 1)
	if _, err := time.Parse(stampForm, text); err != nil {
		return ""
	}
	return text
}

func (r *run) noteStamp(_ mark, _ []byte, e *wire.Entry) { r.newest = max(r.newest, r.src.stampOf(e)) }

// pin tells servers apart where others stamp the same changes otherwise: on Active Directory, whose name of a domain may be that of
// any controller. An invocationId is another one after a controller was restored.
func (r *run) pin(ctx context.Context) (string, error) {
	if r.src.stamp() != "whenChanged" {
		return "", nil
	}
	read := func(dn, attr string) (value []byte, err error) {
		_, err = r.sess.search(ctx, "read which server it is", wire.Search{Base: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attrs: []string{attr}},
			func(e *wire.Entry) error {
				for _, v := range rawValues(e, attr) {
					value = bytes.Clone(v)
				}
				return nil
			})
		var answer *ldap.Error
		if errors.As(err, &answer) && r.sess.conn.Err() == nil {
			return nil, nil // it may not be shown to us
		}
		return value, err
	}
	service, err := read("", "dsServiceName")
	if err != nil {
		return "", err
	}
	address := r.sess.conn.RemoteAddr().String()
	if len(service) == 0 {
		return address, nil
	}
	invocation, err := read(string(service), "invocationId")
	if err != nil {
		return "", err
	}
	if len(invocation) == 0 {
		return address + " " + string(service), nil
	}
	return fmt.Sprintf("%s %x", service, invocation), nil
}

// notOlder compares with what was seen before. A replica that was restored or lags far behind shows older stamps; so does a directory whose
// newest entry was deleted, when it was the only one of its time.
func (r *run) notOlder() (known, ok bool, seen string) {
	last, now := r.was, r.mark
	if m := methodOf(now.of()); m != nil {
		if last.of() != now.of() {
			return false, false, ""
		}
		known, behind, seen := m.behind(last, now)
		if behind {
			seen += ": was the server restored, or does it lag?"
		}
		return known, !behind, seen
	}
	at, err := time.Parse(stampForm, last.At)
	if err != nil || now.At == "" || last.Base != now.Base || last.Server != now.Server || r.src.ahead(last.At) != nil {
		return false, false, "" // nothing to compare
	}
	seen = "newest stamp " + now.At + ", before " + last.At
	if now.At >= at.Add(-overlap).Format(stampForm) {
		return true, true, seen
	}
	still := 0
	for id := range last.Seen {
		if r.seen.mark(id) != 0 {
			still++
		}
	}
	if still == 0 && len(last.Seen) == 1 {
		return true, true, seen + " on an entry that is gone"
	}
	return true, false, seen + ": was the server restored, or does it lag? A change of any entry there makes it newer"
}

// changeBase is the entry below which everything stands that is read.
func (s *Source) changeBase() string {
	bases := []string{s.o.People.Base}
	if s.o.Groups != nil {
		bases = append(bases, s.o.Groups.Base)
	}
	for _, candidate := range bases {
		all := true
		for _, b := range bases {
			all = all && below(b, candidate)
		}
		if all {
			return candidate
		}
	}
	return s.o.Base
}

// covered says whether everything that is read stands below changeBase.
func (s *Source) covered() bool {
	base := s.changeBase()
	return below(s.o.People.Base, base) && (s.o.Groups == nil || below(s.o.Groups.Base, base))
}

// change is an entry that may have changed.
type change struct {
	dn    string
	again bool // it was read before, within the second of its stamp
	leaf  bool // nothing stands below it
}

// markPosition finds the position of a full read, after its entries were listed and before their content is read.
func (r *run) markPosition(ctx context.Context) error {
	if !r.stamps || r.newest == "" || !r.src.covered() {
		return nil
	}
	base := r.src.changeBase()
	id, ok := r.before[base]
	if !ok {
		var err error
		if id, err = r.sess.baseID(ctx, base); err != nil {
			return err
		}
	}
	pin, err := r.pin(ctx)
	if err != nil {
		return err
	}
	p := position{Base: id, At: r.newest, Server: pin}
	if r.instead != "" {
		p.Instead = r.src.o.Incremental
	}
	err = r.lookForChanges(ctx, &p, nil)
	r.mark = p
	return err
}

// lookForChanges adds what has another stamp than p remembers to changed, which may be nil, and moves p on.
func (r *run) lookForChanges(ctx context.Context, p *position, changed map[string]change) error {
	s, stamp := r.src, r.src.stamp()
	was, from := p.Seen, p.from()
	stamps, newest := map[string]string{}, p.At
	over, later := false, p.Looked.IsZero() || s.now().Sub(p.Looked) > second
	base := s.changeBase()
	step := "look for changes below " + base
	err := r.sess.list(ctx, step, base, "("+stamp+">="+from+")", []string{s.o.ID, stamp, "entryCSN"}, func(e *wire.Entry) error {
		at := s.stampOf(e)
		if at == "" {
			return s.failed(model.CodeSourceUnproven, step, &model.Doubt{Text: "an entry shows no usable " + stamp + ": " + printable(e.DN)})
		}
		newest = max(newest, at)
		id, err := s.entryID(e)
		if err != nil {
			id = "dn:" + strings.ToLower(e.DN)
		}
		key := unsure + at
		if csn := rawValues(e, "entryCSN"); len(csn) == 1 { // RFC draft-chu-ldap-csn: with microseconds
			key = string(csn[0])
		}
		switch {
		case changed == nil:
		case was[id] == strings.TrimPrefix(key, unsure):
			key = was[id]
		case was[id] == key: // unsure
			changed[id] = change{dn: e.DN, again: true}
			if later {
				key = at
			}
		default:
			changed[id] = change{dn: e.DN}
		}
		if over = over || len(stamps) == mostRemembered; !over {
			stamps[id] = key
		}
		if len(changed) > mostChanged {
			return s.failed(model.CodeSourceUnproven, step, &model.Doubt{Text: "more than 10000 entries changed"})
		}
		return nil
	})
	if doubt := s.ahead(newest); err == nil && changed != nil && doubt != nil {
		err = doubt
	}
	p.At, p.Seen, p.Looked = newest, stamps, s.now().UTC().Truncate(time.Millisecond)
	if over { // a bulk change: the overlap begins anew with its last second
		p.Seen, p.Floor = nil, newest // more may come within that second
	}
	return err
}

// oneOf is a filter for any of the values.
func oneOf(attrs []string, values []string) string {
	var b strings.Builder
	b.WriteString("(|")
	for _, a := range attrs {
		for _, v := range values {
			b.WriteString("(" + a + "=" + v + ")")
		}
	}
	return b.String() + ")"
}

func escapeAll(dns []string) []string {
	out := make([]string, len(dns))
	for i, dn := range dns {
		out[i] = ldap.EscapeFilter(dn)
	}
	return out
}
