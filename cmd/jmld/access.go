package main

import (
	"fmt"
	"net/netip"

	"jmld/internal/config"
	"jmld/scim"
)

// scimAccess is who may push to a source.
func scimAccess(c *config.SCIMSource) (scim.Access, error) {
	a := scim.Access{
		Networks: prefixes(c.Networks),
		Limits:   scim.Limits{Rate: float64(c.Limits.Requests), Burst: c.Limits.Burst, Concurrent: c.Limits.Concurrent},
	}
	if b := c.Basic; b != nil {
		a.Basic = &scim.Basic{User: b.User, Passwords: b.Password.Credentials}
	}
	if o := c.OAuth; o != nil {
		a.OAuth = &scim.OAuth{ClientID: o.ClientID, Secrets: o.Secret.Credentials, Lifetime: o.Lifetime.Std()}
	}
	if m := c.MTLS; m != nil {
		a.MTLS = &scim.MTLS{Subject: m.Subject, SAN: m.SAN, Fingerprints: m.Fingerprints}
	}
	if j := c.JWT; j != nil {
		ca, err := pool(string(j.JWKS.CAFile))
		if err != nil {
			return a, fmt.Errorf("jwks.ca_file: %w", err)
		}
		a.JWT = &scim.JWT{
			Issuer: j.Issuer, Audience: j.Audience, Subject: j.Subject, Bearer: j.Bearer,
			Keys: scim.JWKS{URL: j.JWKS.URL, CA: ca, File: string(j.JWKS.File)},
		}
	}
	return a, nil
}

// scimBounds is how much one request may ask for.
func scimBounds(l *config.SCIMLimits) scim.Bounds {
	return scim.Bounds{
		URL: int(l.URL), Depth: l.Depth, Values: l.Values, Filter: int(l.Filter), FilterDepth: l.FilterDepth, FilterTerms: l.FilterTerms,
		BulkOperations: l.BulkOperations, PatchOperations: l.PatchOperations, Page: l.PageSize, MaxPage: l.MaxPageSize, Scan: l.Scan,
	}
}

func prefixes(list []config.Network) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range list {
		out = append(out, n.Prefix)
	}
	return out
}
