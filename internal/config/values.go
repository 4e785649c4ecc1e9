package config

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// scalar is a value with a notation of its own. The error says what is expected.
type scalar interface {
	parse(text string) error
}

// Duration is written as 10s, 30m, 72h or 30d.
type Duration time.Duration

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes 24h0m0s as 24h.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (d *Duration) parse(text string) error {
	v, err := time.ParseDuration(text)
	if whole, ok := strings.CutSuffix(text, "d"); ok {
		var days int64
		days, err = strconv.ParseInt(whole, 10, 16)
		v = time.Duration(days) * 24 * time.Hour
	}
	if err != nil {
		return fmt.Errorf("%q is not a duration; expected a number and a unit, such as 10s, 30m, 72h or 30d", text)
	}
	if v <= 0 || v > 366*24*time.Hour {
		return fmt.Errorf("the duration %s is out of range; expected more than 0 and at most a year", text)
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes, written as 512KiB, 4MiB or 1GiB.
type Size int64

var _ = scalar((*Size)(nil))

const maxSize = 1 << 30

func (s *Size) parse(text string) error {
	digits := strings.TrimRight(text, "KMGiB")
	factor := map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "B": 1}[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || factor == 0 {
		return fmt.Errorf("%q is not a size; expected a whole number and a unit, such as 512KiB or 4MiB", text)
	}
	if n <= 0 || n > maxSize/factor {
		return fmt.Errorf("the size %s is out of range; expected more than 0 and at most 1GiB", text)
	}
	*s = Size(n * factor)
	return nil
}

// String is the size as it would be written.
func (s Size) String() string {
	for _, u := range []struct {
		unit string
		n    Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.n && s%u.n == 0 {
			return strconv.FormatInt(int64(s/u.n), 10) + u.unit
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// Percent is a share between 0 and 1, written as 1% or 0.5%.
type Percent float64

func (p *Percent) parse(text string) error {
	digits, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || math.IsNaN(v) || strings.ContainsAny(digits, "xXpP_eE") {
		return fmt.Errorf("%q is not a percentage; expected such as 1%% or 0.5%%", text)
	}
	if v < 0 || v > 100 {
		return fmt.Errorf("%s is out of range; expected 0%% to 100%%", text)
	}
	*p = Percent(v / 100)
	return nil
}

// String is the percentage as it would be written.
func (p Percent) String() string {
	return strconv.FormatFloat(math.Round(float64(p)*1e8)/1e6, 'f', -1, 64) + "%"
}

// Rate is how often something may happen in a second, written as 50/s, 100/m or 0 for any.
type Rate float64

func (r *Rate) parse(text string) error {
	if text == "0" {
		*r = 0
		return nil
	}
	digits, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseInt(digits, 10, 32)
	seconds := map[string]float64{"s": 1, "m": 60}[unit]
	if err != nil || seconds == 0 {
		return fmt.Errorf("%q is not a rate; expected such as 50/s or 100/m, or 0 for any", text)
	}
	if n <= 0 || n > 1_000_000 {
		return fmt.Errorf("the rate %s is out of range; expected 1 to 1000000, or 0 for any", text)
	}
	*r = Rate(float64(n) / seconds)
	return nil
}

// Network is a range of addresses, written as 10.0.0.0/8, 2001:db8::/32, or one address.
type Network struct{ netip.Prefix }

func (n *Network) parse(text string) error {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		n.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return fmt.Errorf("%q is not a network; expected such as 10.0.0.0/8 or 203.0.113.7", text)
	case p.Masked() != p:
		return fmt.Errorf("the network %s has more bits than its length says; expected %s", text, p.Masked())
	}
	n.Prefix = p
	return nil
}

// Path is a file. After loading it is absolute, or as written when the configuration did not come from a file.
type Path string

// in makes a relative path one below dir.
func (p *Path) in(dir string) {
	if *p != "" && dir != "" && !filepath.IsAbs(string(*p)) {
		*p = Path(filepath.Join(dir, string(*p)))
	}
}

// Database is where jmld keeps what it knows: exactly one of SQLite and Postgres is set.
type Database struct {
	SQLite   Path   // file
	Postgres string // URL, without a password
}

// String is the database as it would be written.
func (d Database) String() string {
	if d.Postgres != "" {
		return d.Postgres
	}
	return "sqlite:" + string(d.SQLite)
}

func (d *Database) parse(text string) error {
	const expected = "; expected sqlite:FILE or postgres://USER@HOST/NAME?sslmode=verify-full"
	if file, ok := strings.CutPrefix(text, "sqlite:"); ok {
		if file == "" || strings.ContainsAny(file, "?\x00") || strings.HasPrefix(file, "//") || file == ":memory:" {
			return fmt.Errorf("sqlite needs the name of a file%s", expected)
		}
		*d = Database{SQLite: Path(file)}
		return nil
	}
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return fmt.Errorf("unknown kind of database%s", expected)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("not a URL%s", expected) // err repeats the text, which might have a password
	case strings.Trim(u.Path, "/") == "":
		return fmt.Errorf("the name of the database is missing%s", expected)
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return fmt.Errorf("a password does not belong here; expected database_password: {file: …} or {env: …} beside it")
	}
	*d = Database{Postgres: text}
	return postgresTLS(u)
}

// postgresTLS refuses what would silently go without encryption: PostgreSQL's own default is to try TLS and do without
// it. sslmode=disable says it aloud.
func postgresTLS(u *url.URL) error {
	host := u.Hostname()
	if h := u.Query().Get("host"); h != "" {
		host = h
	}
	if host == "" || strings.HasPrefix(host, "/") || isLoopback(host) {
		return nil
	}
	switch mode := u.Query().Get("sslmode"); mode {
	case "verify-full", "verify-ca", "require", "disable":
		return nil
	case "":
		return fmt.Errorf("sslmode is missing, so that the connection might not be encrypted; expected ?sslmode=verify-full")
	default:
		return fmt.Errorf("sslmode=%s might not encrypt; expected sslmode=verify-full", mode)
	}
}

// envName is what a variable may be called.
func isEnvName(s string) bool { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(s) }
