package ldapsync

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

const (
	// maxDirSync bytes of attributes come in one answer at most, and maxRounds answers.
	maxDirSync = 1 << 20
	maxRounds  = 10_000
)

// dirSync asks a domain controller of Active Directory what changed since a cookie, [MS-ADTS] §3.1.1.3.4.1.3. It shows what the account may see. Only a
// whole naming context can be asked about. The controller is pinned as with uSNChanged: another one may refuse the cookie, or repeat things.
type dirSync struct{}

func (dirSync) begin(ctx context.Context, r *run) (position, error) {
	p, err := usnChanged{}.begin(ctx, r)
	if err != nil {
		return p, err
	}
	p.Method = entry.MethodDirSync
	nobody := "(objectGUID=" + strings.Repeat(`\00`, 16) + ")" // all that is wanted is the cookie
	f := found{next: p}
	return f.next, r.dirSync(ctx, &f, nobody)
}

func (dirSync) since(ctx context.Context, r *run, from position) (found, error) {
	f := found{next: from, recorded: true}
	c, err := r.readController(ctx, from.Service)
	if err != nil {
		return f, err
	}
	if doubt := c.doubt(r, from); doubt != nil {
		return f, doubt
	}
	f.seen = "nothing in the answer to DirSync"
	f.next.Number, f.next.Time = c.highest, c.time
	if err := r.dirSync(ctx, &f, "(objectClass=*)"); err != nil {
		return f, err
	}
	f.next.Blind = from.Blind && len(f.gone) == 0
	return f, nil
}

func (dirSync) behind(was, now position) (known, behind bool, seen string) {
	return usnChanged{}.behind(was, now)
}

// dirSync asks until there is no more, and moves the cookie on.
func (r *run) dirSync(ctx context.Context, f *found, filter string) error {
	step := "ask for changes of " + f.next.Root
	cookie, err := base64.StdEncoding.DecodeString(f.next.Cookie)
	if err != nil {
		return &model.Doubt{Text: "the mark of the last read cannot be used"}
	}
	for range maxRounds {
		// All attributes: an entry none of whose attributes asked for changed is left out.
		done, err := r.sess.search(ctx, step, wire.Search{Base: f.next.Root, Scope: ldap.ScopeWholeSubtree, Filter: filter, Want: ldap.ControlTypeDirSync,
			Controls: []ldap.Control{ldap.NewRequestControlDirSync(ldap.DirSyncObjectSecurity|ldap.DirSyncIncrementalValues, maxDirSync, cookie)}},
			func(e *wire.Entry) error {
				id, err := r.src.entryID(e)
				if err != nil {
					return &model.Doubt{Text: "an entry shows no usable objectGUID: " + printable(e.DN)}
				}
				if strings.EqualFold(only(e, "isDeleted"), "TRUE") {
					return f.lose(id)
				}
				named := len(rawValues(e, "name"))+len(rawValues(e, "objectClass")) > 0 // only what changed is shown
				return f.note(id, change{dn: e.DN, leaf: leafClass(e) || !named})
			})
		if err != nil {
			return err
		}
		more, next, err := wire.DirSyncAnswer(done.Wanted)
		if err != nil || len(next) == 0 {
			return unfit{"the server does not answer with a usable DirSync control"}
		}
		if more && bytes.Equal(next, cookie) && done.Entries == 0 {
			return &model.Doubt{Text: "DirSync does not go on: there is more, and the answer is empty"}
		}
		cookie = next
		f.next.Cookie = base64.StdEncoding.EncodeToString(cookie)
		if !more {
			return nil
		}
	}
	return &model.Doubt{Text: fmt.Sprintf("DirSync came to no end in %d answers", maxRounds)}
}
