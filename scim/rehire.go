package scim

import (
	"errors"
	"net/http"
	"slices"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// rehireNote is in the audit of a POST that was taken for the return of somebody.
const rehireNote = "POST read as the return of the deactivated user"

// errFormer ends a POST that is the return of somebody.
var errFormer = errors.New("a deactivated user has the externalId")

// errMoved ends a rehire of somebody who was changed, or went, a moment ago.
var errMoved = errors.New("the deactivated user has changed")

// created makes what a POST says durable. A user that is deactivated in this source is not made a second time: the POST is that
// user's return, and what is stored is replaced. Whom a POST is about, by what the two have in common:
//
//	externalId   userName   employeeNumber  an address
//	the same     the same   any             any         the return of the deactivated user
//	the same     another    the same        any         the return of the deactivated user
//	the same     another    one has none    in common   the return of the deactivated user
//	the same     another    one has none    none        somebody new
//	the same     another    another         any         somebody new
//	one has none the same   not another     any         the return of the deactivated user
//	one has none the same   another         any         409: two people, one name
//	another      the same   any             any         409: two people, one name
//
// Of an externalId that several users have, only who has the userName as well is taken.
// Active users are never taken for anybody who is sent as new; nor are groups. A strict source has only 409.
func (q *request) created(rt *resourceType, id string, post func() (*model.Record, error), change engine.MemberChange) (engine.Pushed, error) {
	first, err := post()
	if err != nil {
		return engine.Pushed{}, err
	}
	may := rt.kind == model.KindUser && !q.notes.strict && (q.part == nil || !q.part.fixed)
	const tries = 3 // others may do the same at the same time
	for range tries {
		var old *model.Record
		by := "externalId"
		push := engine.Push{Kind: rt.kind, ID: id, Create: true, Action: actionCreate, Notes: q.notes.list, ExternalID: first.ExternalID}
		push.Change = func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
			if cur != nil {
				return nil, engine.MemberChange{}, model.ErrConflict
			}
			next := *first
			return &next, change, nil
		}
		if may {
			push.Twins = func(found []model.Record) error {
				if len(found) != 1 || found[0].Active || jml.Decode(found[0].Attrs)["externalId"] != first.ExternalID || !akin(&found[0], first) {
					return nil
				}
				old = &found[0]
				return errFormer
			}
		}
		if done, err := q.pushed(push); !errors.Is(err, errFormer) {
			if !may || !errors.Is(err, model.ErrConflict) {
				return done, err
			}
			by = "userName"
			if old, err = q.former(rt, "userName", first.UserName); err != nil {
				return engine.Pushed{}, err
			}
			if old == nil { // taken by somebody who is active
				return engine.Pushed{}, model.ErrConflict
			}
			if err := samePerson(old, first); err != nil {
				return engine.Pushed{}, err
			}
		}
		done, err := q.rehire(rt, old, by, post)
		if !errors.Is(err, errMoved) {
			return done, err
		}
	}
	return engine.Pushed{}, model.ErrStale
}

// former is the deactivated user who alone has the value in this source, or nil.
func (q *request) former(rt *resourceType, attribute, value string) (*model.Record, error) {
	r := resolver{rt: rt, notes: &notes{}}
	f, err := r.filter(&expr{attr: attribute, op: model.OpEq, value: value})
	if err != nil {
		return nil, err
	}
	page, err := q.h.o.Resources.Query(q.r.Context(), model.Query{Source: q.source.Name, Kind: rt.kind, Filter: f,
		Match: matcher(f, rt), Limit: 2})
	if err != nil || len(page.Records) != 1 || page.Records[0].Active {
		return nil, err
	}
	return &page.Records[0], nil
}

// samePerson refuses to take a user for another one who had the same userName.
func samePerson(old, post *model.Record) error {
	differs := ""
	switch was, is := employeeNumber(old), employeeNumber(post); {
	case old.ExternalID != "" && post.ExternalID != "" && jml.Decode(old.Attrs)["externalId"] != post.ExternalID: // of a long one the record has the beginning
		differs = "externalId"
	case (old.ExternalID == "" || post.ExternalID == "") && was != "" && is != "" && was != is:
		differs = "employeeNumber"
	}
	if differs == "" {
		return nil
	}
	return refuse(http.StatusConflict, elimity.ScimTypeUniqueness, "The userName is that of a deactivated user with another %s, which is "+
		"taken for another person. If it is the same person, change and activate that user; else delete it or change its userName first.", differs)
}

// akin says whether a user may be taken for the one with the same externalId. Identity providers make externalId of what an
// administrator chooses, and some give it to the next person.
func akin(old, post *model.Record) bool {
	if old.UserNameKey == post.UserNameKey {
		return true
	}
	if was, is := employeeNumber(old), employeeNumber(post); was != "" && is != "" {
		return was == is
	}
	had := addresses(old)
	return slices.ContainsFunc(addresses(post), func(a string) bool { return slices.Contains(had, a) })
}

func addresses(rec *model.Record) []string {
	list, _ := jml.Decode(rec.Attrs)["emails"].([]any)
	var all []string
	for _, e := range list {
		m, _ := e.(map[string]any)
		if s, _ := m["value"].(string); s != "" {
			all = append(all, jml.Fold(s))
		}
	}
	return all
}

func employeeNumber(rec *model.Record) string {
	ext, _ := jml.Decode(rec.Attrs)[jml.EnterpriseUser].(map[string]any)
	n, _ := ext["employeeNumber"].(string)
	return jml.Fold(n)
}

// rehire replaces a deactivated user with what is sent as new, active unless it says otherwise.
func (q *request) rehire(rt *resourceType, old *model.Record, by string, post func() (*model.Record, error)) (engine.Pushed, error) {
	note := rehireNote + " with the same " + by
	done, err := q.pushed(engine.Push{Kind: rt.kind, ID: old.ID, Action: actionRehire, Afresh: true, Notes: append(q.notes.list[:len(q.notes.list):len(q.notes.list)], note),
		Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
			if cur == nil || cur.Version != old.Version { // whom the POST is about was decided by all of it
				return nil, engine.MemberChange{}, errMoved
			}
			fresh, err := post()
			if err != nil {
				return nil, engine.MemberChange{}, err
			}
			next := *cur
			next.UserName, next.UserNameKey, next.DisplayName, next.DisplayNameKey = fresh.UserName, fresh.UserNameKey, fresh.DisplayName, fresh.DisplayNameKey
			next.ExternalID, next.UniqueKey, next.Active, next.Attrs, next.Hash = fresh.ExternalID, fresh.UniqueKey, fresh.Active, fresh.Attrs, fresh.Hash
			return &next, engine.MemberChange{}, nil
		}})
	if err == nil {
		q.notes.remark("%s", note)
	}
	return done, err
}
