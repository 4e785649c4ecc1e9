package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// cacheAge is how long a cached directory is used: the certificates and passwords in it get old.
const cacheAge = 20 * 24 * time.Hour

// cached returns a directory that fill made, now or for another test binary before: making a server takes ten seconds,
// and copying one a tenth of a second. The directory's path stays the same; whoever uses it works on a copy. The
// program's version is part of the key.
func cached(name, program string, fill func(dir string) error) (string, error) {
	root, err := os.UserCacheDir()
	if err != nil {
		root = os.TempDir()
	}
	info, err := os.Stat(program)
	if err != nil {
		return "", err
	}
	root = filepath.Join(root, "jmld-testserver")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	key := name + "-" + strconv.FormatInt(info.Size(), 36) + "-" + strconv.FormatInt(info.ModTime().Unix(), 36)
	dir := filepath.Join(root, key)
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	done := filepath.Join(dir, "made")
	if at, err := os.Stat(done); err == nil && time.Since(at.ModTime()) < cacheAge {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if err := fill(dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, os.WriteFile(done, nil, 0o600)
}

// copyTree copies a directory with holes in its files left out.
func copyTree(from, to string) error {
	if out, err := exec.Command("cp", "-a", "--sparse=always", "--reflink=auto", from+"/.", to).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w\n%s", err, out)
	}
	return nil
}
