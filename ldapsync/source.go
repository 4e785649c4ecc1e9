package ldapsync

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

var (
	errTimeout = errors.New("the read took longer than timeouts.run allows")
)

const fieldDN = "dn" // log field, at debug only

// maxSkipped entries are named in a proof. The absence of one that is not named would be concluded, so a proof with
// more is not complete.
const maxSkipped = 100

// Source reads one directory. It implements the engine's port.
type Source struct {
	o        Options
	fixed    []server     // none with SRV
	preset   entry.Preset // in force
	people   mapping
	binaryID bool // the id's values are no text
	now      func() time.Time

	busy    sync.Mutex           // guards what follows
	at      string               // the server in use
	trouble map[string]time.Time // servers that failed, by URL
	tlsSeen *tls.ConnectionState // of the last handshake
}

// New checks the options; it does not connect.
func New(o Options) (*Source, error) {
	preset, err := o.applyPreset()
	if err != nil {
		return nil, model.Errorf(model.CodeConfig, "ldap source %s: %w", o.Name, err)
	}
	o.setDefaults()
	fixed, err := o.validate()
	if err != nil {
		return nil, err
	}
	m, err := newMapping(o, preset)
	if err != nil {
		return nil, model.Errorf(model.CodeConfig, "ldap source %s: people.attributes: %w", o.Name, err)
	}
	return &Source{o: o, fixed: fixed, preset: preset, people: m, binaryID: entry.TypeOf(o.ID).Binary(), now: time.Now, trouble: map[string]time.Time{}}, nil
}

// Name of the source.
func (s *Source) Name() string { return s.o.Name }

// Read lists people, then groups, and hands each to emit as a record. The Proof is complete only if every condition
// for it was seen to hold; with an error it never is. What was emitted is true of the entries emitted in any case.
// An error of emit ends the read and is returned as it is. One Read runs at a time.
func (s *Source) Read(ctx context.Context, emit func(model.Entry) error) (model.Proof, error) {
	return s.ReadUnlike(ctx, "", nil, emit)
}

// ReadAfter is Read of a directory that must not be older than it was at the mark of an earlier proof, if that can be compared: a replica that
// lags far behind, or was restored, is no proof.
func (s *Source) ReadAfter(ctx context.Context, mark string, emit func(model.Entry) error) (model.Proof, error) {
	return s.ReadUnlike(ctx, mark, nil, emit)
}

// ReadUnlike is ReadAfter without the people whose content is known. They cost no record; and when everybody is known and there, they are
// listed once, not twice.
func (s *Source) ReadUnlike(ctx context.Context, mark string, known engine.Known, emit func(model.Entry) error) (model.Proof, error) {
	if !s.busy.TryLock() {
		return model.Proof{}, s.failed(model.CodeSourceBusy, "start", errors.New("it is being read already"))
	}
	defer s.busy.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeouts.Run, errTimeout)
	defer cancel()
	r := newRun(s)
	r.full, r.known, r.was = true, known, parsePosition(mark)
	if known != nil { // very many ids are not kept twice
		r.seen.ids = known.IDs()
	}
	r.emit = func(e model.Entry) error {
		start := time.Now()
		err := emit(e)
		r.elsewhere += time.Since(start)
		return err
	}
	err := r.read(ctx)
	switch code := model.CodeOf(err); {
	case err == nil || ctx.Err() != nil || r.sess == nil:
	case code == model.CodeSourceInterrupted || code == model.CodeSourceUnreachable:
		s.trouble[r.sess.server.url] = s.now() // the next read begins elsewhere, if there is another
	}
	return r.prove(err), err
}

func newRun(s *Source) *run {
	return &run{src: s, seen: newTable(), before: map[string]string{}, after: map[string]string{}, groupBySID: map[string]string{}, primary: map[string][]string{}}
}

// run is one Read.
type run struct {
	src   *Source
	full  bool // everything is read
	emit  func(model.Entry) error
	known engine.Known // nil: nothing is known
	once  *once        // the people were not listed before they are read
	sess  *session
	seen  *table

	elsewhere time.Duration // spent by emit
	id        []byte        // of the entry at hand
	name      []byte        // the id of one that it names
	content   content       // and what it says

	clock         *time.Duration // by how much the server's is ahead of ours; nil: not known
	who, whoAfter string
	whoKnown      bool
	before, after map[string]string // base DN → id
	users, groups int               // handed out
	skipped       []model.Skipped
	skippedMore   int
	unknown       []model.Skipped // entries of which something is unknown, the first of them
	unknownAll    int
	ambiguous     int // user names that are several people's
	nameless      int // entries without a usable id
	unnamed       int // entries whose DN cannot be parsed
	duplicates    int
	unresolved    int
	members       int // members handed out
	partial       int // groups with a part of their members
	firstPartial  string
	finished      bool

	groupBySID map[string]string   // Active Directory
	primary    map[string][]string // by group, the people who have it as their primary one
	noPrimary  int                 // accounts whose primary group cannot be told
	noSID      int                 // groups that nobody can have as the primary one

	newest string                                 // change stamp listed, when changes are read
	listed func(m mark, id []byte, e *wire.Entry) // of what is merely listed; may be nil
	mark   position
	was    position // the mark of an earlier read
	stamps bool     // changes are found by change stamps
	// instead says why another method could not be used.
	instead string
	few     *few // of a read of what changed only
}

func (r *run) read(ctx context.Context) (err error) {
	s := r.src
	if r.sess, err = s.open(ctx); err != nil {
		return err
	}
	defer r.sess.close()
	if err := r.begin(ctx); err != nil {
		return err
	}
	if r.clock, _, err = r.sess.clock(ctx); err != nil {
		return err
	}
	if err := r.startMark(ctx); err != nil {
		return err
	}
	if r.stamps {
		r.listed = r.noteStamp
	}
	if r.mayReadOnce() {
		if err := r.readOnce(ctx); err != nil {
			return err
		}
	} else {
		if err := r.census(ctx); err != nil {
			return err
		}
		if err := r.markPosition(ctx); err != nil {
			return err
		}
		if err := r.readPeople(ctx); err != nil {
			return err
		}
	}
	if err := r.readGroups(ctx); err != nil {
		return err
	}
	return r.end(ctx)
}

// begin notes who we are and what the bases are, for end to compare with: what was read between is then of one directory, seen with
// the same rights.
func (r *run) begin(ctx context.Context) (err error) {
	if r.who, r.whoKnown, err = r.sess.whoAmI(ctx); err != nil {
		return err
	}
	if r.whoKnown && (r.who == "" || r.who == "dn:") {
		return r.src.failed(model.CodeSourceCredentials, "bind as "+r.src.who(), errors.New("the server takes us for anonymous"))
	}
	return r.readBases(ctx, r.before)
}

// end looks at them again, and says that everything was read.
func (r *run) end(ctx context.Context) (err error) {
	if err := r.readBases(ctx, r.after); err != nil {
		return err
	}
	if r.whoKnown {
		if r.whoAfter, _, err = r.sess.whoAmI(ctx); err != nil {
			return err
		}
	}
	r.finished = true
	return nil
}

func (r *run) readBases(ctx context.Context, into map[string]string) error {
	for _, dn := range r.src.bases() {
		id, err := r.sess.baseID(ctx, dn)
		if err != nil {
			return err
		}
		into[dn] = id
	}
	return nil
}

// bases are the distinct entries below which something is read.
func (s *Source) bases() []string {
	list := []string{s.o.Base, s.o.People.Base}
	if s.o.Groups != nil {
		list = append(list, s.o.Groups.Base)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// census lists ids and names of people and groups, so that a DN can be resolved wherever its entry stands.
func (r *run) census(ctx context.Context) error {
	if err := r.listPeople(ctx); err != nil {
		return err
	}
	return r.listGroups(ctx)
}

func (r *run) listPeople(ctx context.Context) error {
	o, attrs := r.src.o, r.idAttrs()
	if r.src.byUID() {
		attrs = append(attrs, "uid")
	}
	if err := r.sess.list(ctx, "list people below "+o.People.Base, o.People.Base, o.People.Filter, attrs, r.noteListed(userListed)); err != nil {
		return err
	}
	return r.anybody(userListed)
}

// anybody fails when nobody has the mark.
func (r *run) anybody(m mark) error {
	o := r.src.o
	if r.seen.any(m) {
		return nil
	}
	if r.sess.referrals > 0 {
		return r.src.failed(model.CodeSourceReferral, "list people below "+o.People.Base, fmt.Errorf("the server has nobody itself and points to %s", printable(r.sess.firstReferral)))
	}
	return r.src.failed(model.CodeSourceEmpty, "list people below "+o.People.Base, fmt.Errorf("nobody with an id (%s) matches %s", o.ID, o.People.Filter))
}

func (r *run) listGroups(ctx context.Context) error {
	o, attrs := r.src.o, r.idAttrs()
	if o.Groups == nil {
		return nil
	}
	if r.src.preset.Primary {
		attrs = append(attrs, "objectSid")
	}
	return r.sess.list(ctx, "list groups below "+o.Groups.Base, o.Groups.Base, o.Groups.Filter, attrs, r.noteListed(groupListed))
}

func (r *run) noteListed(m mark) func(*wire.Entry) error {
	return func(e *wire.Entry) error {
		id, err := r.entryID(e)
		if err != nil {
			return nil //nolint:nilerr // the pass for the content reports it
		}
		n, fine := r.seen.note(id, m)
		if !fine {
			r.duplicates++
		}
		r.addName(e.DN, n)
		if m == groupListed || r.once == nil { // names of people are known then
			r.noteNames(e, n, m)
		}
		if r.listed != nil {
			r.listed(m, id, e)
		}
		return nil
	}
}

// addName makes the entry's DN resolvable.
func (r *run) addName(dn string, n int) {
	key, err := dnKey(dn)
	if err != nil { // its memberships would look as if they had ended
		r.unnamed++
		return
	}
	r.seen.names.set(key, uint32(n))
}

func (r *run) readPeople(ctx context.Context) error {
	o := r.src.o
	return r.readPeopleBy(ctx, o.People.Filter)
}

// readPeopleBy reads those of the people whom the filter selects.
func (r *run) readPeopleBy(ctx context.Context, filter string) error {
	o := r.src.o
	return r.sess.list(ctx, "read people below "+o.People.Base, o.People.Base, filter, r.src.people.request, func(e *wire.Entry) error {
		id, n, ok := r.identify(e, userRead)
		if !ok {
			return nil
		}
		r.notePrimary(e, n) // who is skipped stays a member
		if !r.readContent(id, e) {
			return nil
		}
		r.doubt(id, e.DN, r.content.doubts)
		r.nameAll()
		return r.handOut(ctx, id)
	})
}

// readContent reads the content of a person into r.content, and says whether it can be used.
func (r *run) readContent(id []byte, e *wire.Entry) bool {
	c := &r.content
	if err := r.src.read(c, e); err != nil {
		r.skip(string(id), e.DN, err)
		return false
	}
	r.users++
	return true
}

// nameAll finds whom the references of the content name.
func (r *run) nameAll() {
	c := &r.content
	c.b = c.b[:0]
	for _, ref := range c.refs {
		key, err := dnKey(ref.dn)
		if err != nil {
			key = nameKey{} // nobody's
		}
		who, found := r.seen.names.find(key)
		c.b = r.addReferred(c.b, who, found)
	}
	c.hash = hashNamed(c.part, c.b)
}

// addReferred is addNamed for whose the name is.
func (r *run) addReferred(b []byte, who uint32, found bool) []byte {
	if !found || who == severalPeople {
		return addNamed(b, "")
	}
	r.name = r.seen.ids.AppendID(r.name[:0], int(who))
	return addNamed(b, r.name)
}

// handOut hands out the content, unless it is known.
func (r *run) handOut(ctx context.Context, id []byte) error {
	if r.known != nil && r.known.Same(model.KindUser, id, r.content.hash[:]) {
		return nil
	}
	if r.once != nil && !r.known.Has(id) {
		r.once.fresh++
	}
	en := r.src.entry(&r.content, string(id), r.seen.resolve)
	if err := r.noteNamed(ctx, en); err != nil {
		return err
	}
	return r.emit(en)
}

// identify returns the id and the number of an entry that was not seen before in this pass. The id is valid until the next one.
func (r *run) identify(e *wire.Entry, m mark) (id []byte, n int, ok bool) {
	if log := r.src.o.Log.Check(zap.DebugLevel, "entry"); log != nil {
		log.Write(zap.String(model.FieldSource, r.src.o.Name), zap.String(fieldDN, e.DN))
	}
	id, err := r.entryID(e)
	if err != nil {
		r.nameless++
		r.skip("", e.DN, err)
		return nil, 0, false
	}
	n, ok = r.seen.note(id, m)
	if !ok {
		r.duplicates++
		r.skip(string(id), e.DN, errors.New("another entry has the same id"))
		return nil, 0, false
	}
	r.addName(e.DN, n)
	return id, n, true
}

// entryID is Source.entryID in memory that the next call uses again.
func (r *run) entryID(e *wire.Entry) (id []byte, err error) {
	s := r.src
	if values := rawValues(e, s.o.ID); !s.binaryID && len(values) == 1 && plainID(values[0]) { // nearly all
		r.id = appendLower(r.id[:0], values[0])
		return r.id, nil
	}
	text, err := s.entryID(e)
	r.id = append(r.id[:0], text...)
	return r.id, err
}

// skip leaves one entry out; the read goes on.
func (r *run) skip(id, dn string, err error) {
	if len(r.skipped) == maxSkipped {
		r.skippedMore++
		return
	}
	r.skipped = append(r.skipped, model.Skipped{ID: id, Name: printable(dn), Text: err.Error()})
}

// doubt notes an entry with attributes that are unknown; the entry counts as read.
func (r *run) doubt(id []byte, dn string, doubts []string) {
	if len(doubts) == 0 {
		return
	}
	if r.unknownAll++; len(r.unknown) < maxSkipped {
		r.unknown = append(r.unknown, model.Skipped{ID: string(id), Name: printable(dn), Text: strings.Join(doubts, "; ")})
	}
}
