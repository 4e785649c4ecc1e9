package httpd

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// TLS names the PEM files of the server's certificate, with the chain, and of its key.
type TLS struct{ Certificate, Key string }

// certificateLook is how often a handshake looks whether the files changed.
const certificateLook = 10 * time.Second

// certificate is read again when its files change, so that a renewal needs no restart. While a change cannot be read (half
// written, key and certificate of different times), the certificate before stays.
type certificate struct {
	files TLS
	log   *zap.Logger
	now   func() time.Time

	mu     sync.Mutex
	looked time.Time
	seen   [2]stamp
	cert   *tls.Certificate
}

// stamp tells versions of a file apart; renewal tools replace the file, so its time and usually its size change.
type stamp struct {
	at   time.Time
	size int64
}

func newCertificate(files TLS, log *zap.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{files: files, log: log, now: now}
	seen, err := c.stamps()
	if err == nil {
		err = c.load(seen)
	}
	if err != nil {
		return nil, model.Errorf(model.CodeConfig, "certificate of the listener: %w", err)
	}
	c.looked = now()
	return c, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= certificateLook {
		c.looked = now
		c.refresh()
	}
	return c.cert, nil
}

func (c *certificate) refresh() {
	seen, err := c.stamps()
	if err == nil && seen == c.seen {
		return
	}
	if err == nil {
		err = c.load(seen)
	}
	if err != nil {
		c.log.Error("certificate not renewed, the one before stays", zap.String(model.FieldCode, string(model.CodeConfig)), zap.Error(err))
		return
	}
	c.log.Info("certificate renewed", zap.Time("expires", c.cert.Leaf.NotAfter))
}

func (c *certificate) stamps() ([2]stamp, error) {
	var out [2]stamp
	for i, name := range []string{c.files.Certificate, c.files.Key} {
		fi, err := os.Stat(name)
		if err != nil {
			return out, err
		}
		out[i] = stamp{fi.ModTime(), fi.Size()}
	}
	return out, nil
}

func (c *certificate) load(seen [2]stamp) error {
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return err
	}
	c.cert, c.seen = &pair, seen
	return nil
}
