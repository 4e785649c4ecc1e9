package scim

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// reachable refuses clients outside the source's networks, before anything else is looked at.
func (q *request) reachable(name string) error {
	src := q.h.sources[name]
	if src == nil || src.Networks == nil {
		return nil
	}
	from := origin(q.r, q.h.o.TrustedProxies)
	if from.IsValid() && within(src.Networks, from) {
		return nil
	}
	return refuse(http.StatusForbidden, "", "Requests do not come from here.")
}

// origin is the address of the client: that of the connection, or, when that is a proxy we trust, what the proxies say.
// X-Forwarded-For is read from its end, where our own proxies write; what a client has put before that does not count. It
// is not valid when it cannot be known.
func origin(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := peer.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(trusted, from); i-- {
		if from, err = netip.ParseAddr(strings.TrimSpace(hops[i])); err != nil {
			return netip.Addr{}
		}
		from = from.Unmap().WithZone("")
	}
	return from
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}
