package main

import (
	"context"
	"errors"
	"regexp"

	"jmld/model"
)

// named writes names in the place of people's ids into texts that a person reads, as many as anybody reads.
func (s *site) named(ctx context.Context, texts ...*string) error {
	personID := regexp.MustCompile(`(?:\bperson )?\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b`)
	names := map[string]string{}
	for _, text := range texts {
		for _, found := range personID.FindAllStringSubmatch(*text, -1) {
			id := found[1]
			if _, known := names[id]; known || len(names) >= maxRows {
				continue
			}
			p, err := s.store.Identity(ctx, id)
			switch {
			case errors.Is(err, model.ErrNotFound): // a request's id, or of somebody who is there no more
			case err != nil:
				return err
			case p.UserName == "" || p.UserName == p.DisplayName:
				names[id] = p.DisplayName
			default:
				names[id] = p.DisplayName + " (" + p.UserName + ")"
			}
		}
		*text = personID.ReplaceAllStringFunc(*text, func(found string) string {
			return orElse(names[personID.FindStringSubmatch(found)[1]], found)
		})
	}
	return nil
}
