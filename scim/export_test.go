package scim

import (
	"net/url"

	"jmld/model"
)

// Selection is a filter as the store gets it.
func Selection(kind model.Kind, text string, extensions ...model.Extension) (model.Filter, func(*model.Record, []bool) bool, error) {
	rt := newSchemas(extensions...).of(kind)
	e, err := parseFilter(text, Bounds{}.filled())
	if err != nil {
		return nil, nil, err
	}
	r := resolver{rt: rt, notes: &notes{}, place: func(model.Kind) string { return "https://jmld.example.org/" }}
	f, err := r.filter(e)
	if err != nil {
		return nil, nil, err
	}
	return f, matcher(f, rt), nil
}

// Dialect is the name of a request's dialect.
func Dialect(agent, method, query, body string, differently bool) (string, error) {
	var o object
	if body != "" {
		var err error
		if o, err = decodeObject([]byte(body), storedDepth); err != nil {
			return "", err
		}
	}
	values, err := url.ParseQuery(query)
	if err != nil { // a request with such a query has none
		values = nil
	}
	return dialectOf(agent, shapeOf(method, values, o), differently), nil
}
