package scim

import "cmp"

// Bounds are of one request to a source. Zero is the default, which is far above what identity providers send and keeps
// what one request can cost small.
type Bounds struct {
	URL             int // bytes; 8 KiB
	Depth           int // levels of JSON; 40
	Values          int // of one multi-valued attribute, members of groups excluded; 1000
	Filter          int // bytes of a filter or a PATCH path; 4 KiB
	FilterDepth     int // levels; 32
	FilterTerms     int // comparisons; 100
	BulkOperations  int // of a bulk request; 1000
	PatchOperations int // on attributes, those on members excluded; 1000
	Page            int // resources of a page whose size the client leaves open; 100
	MaxPage         int // resources of any page; 1000
	Scan            int // resources that a filter has looked at one by one; 50,000
}

// filled has the defaults in it.
func (b Bounds) filled() Bounds {
	most := cmp.Or(b.MaxPage, 1000)
	return Bounds{
		URL: cmp.Or(b.URL, 8<<10), Depth: cmp.Or(b.Depth, 40), Values: cmp.Or(b.Values, 1000),
		Filter: cmp.Or(b.Filter, 4<<10), FilterDepth: cmp.Or(b.FilterDepth, 32), FilterTerms: cmp.Or(b.FilterTerms, 100),
		BulkOperations: cmp.Or(b.BulkOperations, 1000), PatchOperations: cmp.Or(b.PatchOperations, 1000),
		Page: min(most, cmp.Or(b.Page, 100)), MaxPage: most,
		Scan: cmp.Or(b.Scan, 50_000),
	}
}
