package ldapsync_test

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"jmld/internal/testserver"
	"jmld/model"
)

// BenchmarkRead100000 reads 100,000 people and 2,000 groups, one of them with 50,000 members, and reports beside the
// usual figures the peak memory of the process and the time ldapsearch takes for the same attributes in the same pages.
func BenchmarkRead100000(b *testing.B) {
	const users, groups = 100_000, 2_000
	s := testserver.Slapd(b, testserver.SlapdOptions{LDIF: testserver.LDIF(users, groups, users/2)})
	o := options(s)
	o.URL, o.CAFile, o.PageSize, o.Timeouts.Run = s.URL, "", 1000, 10*time.Minute
	src := source(b, o)
	floor := ldapsearch(b, s)
	debug.FreeOSMemory()
	resetPeak(b)
	b.ReportAllocs()
	start := time.Now()
	for b.Loop() {
		n := 0
		p, err := src.Read(b.Context(), func(model.Entry) error { n++; return nil })
		if err != nil || !p.Complete || n != users+groups {
			b.Fatalf("err %v, complete %v, %d entries", err, p.Complete, n)
		}
	}
	took := time.Since(start).Seconds() / float64(b.N)
	b.ReportMetric((users+groups)/took, "entries/s")
	b.ReportMetric(took, "s/read")
	b.ReportMetric(peakMiB(b), "peak-MiB")
	if floor > 0 {
		b.ReportMetric(floor.Seconds(), "s/ldapsearch")
		b.ReportMetric(took/floor.Seconds(), "x-ldapsearch")
	}
}

// ldapsearch is how long the command takes for people and groups, 0 where it is not installed.
func ldapsearch(b *testing.B, s *testserver.SlapdServer) time.Duration {
	b.Helper()
	tool, err := exec.LookPath("ldapsearch")
	if err != nil {
		return 0
	}
	start := time.Now()
	for _, q := range [][]string{
		{testserver.PeopleBase, "(objectClass=inetOrgPerson)", "entryUUID", "uid", "displayName", "cn", "givenName", "sn", "mail",
			"telephoneNumber", "title", "employeeType", "preferredLanguage", "employeeNumber", "departmentNumber", "o", "ou", "manager"},
		{testserver.GroupsBase, "(objectClass=groupOfNames)", "entryUUID", "cn", "member"},
	} {
		args := append([]string{"-LLL", "-x", "-H", s.URL, "-D", testserver.SyncDN, "-w", testserver.Password, "-E", "pr=1000/noprompt", "-b"}, q...)
		if err := exec.CommandContext(b.Context(), tool, args...).Run(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

func resetPeak(b *testing.B) {
	b.Helper()
	if runtime.GOOS == "linux" {
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			b.Log("peak memory includes the preparation: ", err)
		}
	}
}

// peakMiB is the process's peak resident memory.
func peakMiB(b *testing.B) float64 {
	b.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if v, ok := strings.CutPrefix(sc.Text(), "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	return 0
}
