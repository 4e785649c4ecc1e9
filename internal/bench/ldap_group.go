package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"jmld/internal/testserver"
	"jmld/model"
)

// groupName as first argument makes this program read a directory with one group and say what the group took.
const groupName = "read-group"

const groupMembers = 50_000

// groupResult is from the last person to the group: the search, its only entry, and the record made of it.
type groupResult struct {
	Seconds float64
	MoreKiB int64 // peak memory above what there was before
}

// groupPart measures what a group of many members takes, the server's part of it included. The best of five processes counts for the
// time, the worst for the memory.
func groupPart(ctx context.Context, b *bench) error {
	return with(func(t *tb) error {
		slapd := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(groupMembers, 1, groupMembers)})
		var best groupResult
		for i := range 5 {
			var got groupResult
			if err := runChild(ctx, &got, groupName, slapd.URL); err != nil {
				return err
			}
			if i == 0 || got.Seconds < best.Seconds {
				best.Seconds = got.Seconds
			}
			best.MoreKiB = max(best.MoreKiB, got.MoreKiB)
		}
		name := fmt.Sprintf("ldap group of %d members", groupMembers)
		took := figure{Name: name, Value: best.Seconds * 1000, Unit: "ms"}
		memory := figure{Name: name + ", memory", Value: float64(best.MoreKiB) / 1024, Unit: "MiB more"}
		b.figures = append(b.figures, took.atMost("50", took.Value, 50), memory.atMost("20", memory.Value, 20))
		return nil
	})
}

// groupChild is the process.
func groupChild(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%s needs the url of the directory", groupName)
	}
	source, err := directory(args[0])
	if err != nil {
		return err
	}
	var res groupResult
	var start time.Time
	var before int64
	people, members := 0, 0
	_, err = source.Read(ctx, func(e model.Entry) error {
		if e.Kind == model.KindGroup {
			res.Seconds, members = time.Since(start).Seconds(), len(e.Members)
			now, err := peak()
			res.MoreKiB = now - before
			return err
		}
		if people++; people < groupMembers {
			return nil
		}
		err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak is what there is now
		if err == nil {
			before, err = peak()
		}
		start = time.Now()
		return err
	})
	if err != nil {
		return err
	}
	if people != groupMembers || members != groupMembers {
		return fmt.Errorf("%d people and %d members, want %d of each", people, members, groupMembers)
	}
	return json.NewEncoder(out).Encode(res)
}
