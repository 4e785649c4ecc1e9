package entry

import (
	"fmt"
	"slices"
	"strings"
)

// Secret says whether an attribute holds a password, its hash or a key. No such attribute is mapped or shown.
func Secret(name string) bool {
	base, _, _ := strings.Cut(strings.ToLower(name), ";")
	return slices.Contains([]string{
		"userpassword", "2.5.4.35", "authpassword", "unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "pwdhistory", "passwordhistory",
		"supplementalcredentials", "sambantpassword", "sambalmpassword", "sambapasswordhistory", "ipanthash", "krbprincipalkey", "krbmkey", "krbpwdhistory",
		"userpkcs12", "ms-mcs-admpwd", "mslaps-password", "mslaps-encryptedpassword", "mslaps-encryptedpasswordhistory", "msds-managedpassword",
		"currentvalue", "priorvalue", "initialauthincoming", "initialauthoutgoing", "trustauthincoming", "trustauthoutgoing", "ipatokenotpkey",
		"olcrootpw", "nsslapd-rootpw", "reqmod", "reqold", "changes", // what was written, passwords too
	}, base)
}

// NoSecret refuses an attribute for a mapping: the values would be stored and shown.
func NoSecret(attr string) error {
	if Secret(attr) {
		return fmt.Errorf("%s is a password or a key; expected an attribute that may be stored and shown", attr)
	}
	return nil
}
