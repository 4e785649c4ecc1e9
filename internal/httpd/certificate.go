package httpd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// TLS names the PEM files of the server's certificate, with the chain, and of its key; and of the authorities that may have
// signed the certificates of clients, "" when no client is asked for one.
type TLS struct{ Certificate, Key, ClientCA string }

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
	seen   [3]stamp
	config *tls.Config
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

// get is the configuration of the next handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= certificateLook {
		c.looked = now
		c.refresh()
	}
	return c.config, nil
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
	c.log.Info("certificate renewed", zap.Time("expires", c.config.Certificates[0].Leaf.NotAfter))
}

func (c *certificate) stamps() ([3]stamp, error) {
	var out [3]stamp
	for i, name := range []string{c.files.Certificate, c.files.Key, c.files.ClientCA} {
		if name == "" {
			continue
		}
		fi, err := os.Stat(name)
		if err != nil {
			return out, err
		}
		out[i] = stamp{fi.ModTime(), fi.Size()}
	}
	return out, nil
}

func (c *certificate) load(seen [3]stamp) error {
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if c.files.ClientCA != "" {
		pem, err := os.ReadFile(c.files.ClientCA)
		if err != nil {
			return err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s has no certificate in PEM form", c.files.ClientCA)
		}
		// Operators' browsers and clients with other credentials have no certificate. A session must not be taken up again
		// under other authorities than it began with.
		config.ClientAuth, config.SessionTicketsDisabled = tls.VerifyClientCertIfGiven, true
	}
	c.config, c.seen = config, seen
	return nil
}
