package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/model"
)

// tokenPrefix makes a leaked secret recognisable to scanners.
const tokenPrefix = "jmld_"

// tokenSettle is how long a daemon may still take a token that was revoked, or not yet know a new one: it reads them
// every 250 ms.
const tokenSettle = 300 * time.Millisecond

type tokenJSON struct {
	ID       string `json:"id"`
	Source   string `json:"source"`
	Name     string `json:"name"`
	State    string `json:"state"`
	Secret   string `json:"secret,omitempty"` // only in the answer to new
	Created  string `json:"created"`
	Expires  string `json:"expires,omitempty"`
	LastUsed string `json:"lastUsed,omitempty"`
	Revoked  string `json:"revoked,omitempty"`
}

type tokenDocument struct {
	Schema string `json:"schema"`
	tokenJSON
}

type tokensJSON struct {
	Schema string      `json:"schema"`
	Tokens []tokenJSON `json:"tokens"`
}

func newToken(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Secrets that let a SCIM client push to a source",
		Example: `  jmld token new entra --name production --expires 365d
  jmld token list entra
  jmld token revoke entra 01980f3c-6c1e-7b56-a1b2-5a7f3c6d8e90`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenNew(a), newTokenList(a), newTokenRevoke(a))
	return cmd
}

func newTokenNew(a *app) *cobra.Command {
	var name, expires, by string
	cmd := &cobra.Command{
		Use:   "new SOURCE",
		Short: "Make a token; it is shown once, and only its hash is kept",
		Long: "Several tokens of a source are valid at the same time: make the new one, give it to the client, see it used in `jmld token list`,\n" +
			"then revoke the old one.",
		Example: `  jmld token new entra --name production --expires 365d
  jmld token new entra > entra.token        standard output is the secret and nothing else`,
		Args:              exactly("SOURCE"),
		ValidArgsFunction: a.completeSource(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			life, err := lifetime(expires)
			if err != nil {
				return usage(err)
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				if err := s.needPushed(args[0]); err != nil {
					return err
				}
				t, secret, err := makeToken(ctx, s.store, args[0], name, life, a.operator(by), a.now())
				if err != nil {
					return err
				}
				return a.printNewToken(t, secret)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "`name` by which people know it (default: the date)")
	f.StringVar(&expires, "expires", "365d", "how long it is valid: 90d, 12h, or never")
	f.StringVar(&by, "by", "", "`name` of the person who asks (default: your account here)")
	return cmd
}

// lifetime reads "365d", "12h" or "never", which is 0.
func lifetime(s string) (time.Duration, error) {
	if s == "never" {
		return 0, nil
	}
	wrong := fmt.Errorf("--expires %s: a time such as 365d or 12h is expected, or never", s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > 36500 {
			return 0, wrong
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, wrong
	}
	return d, nil
}

// makeToken stores a new token of the source and returns it with its secret, which is nowhere else.
func makeToken(ctx context.Context, db tokenStore, source, name string, life time.Duration, actor string, now time.Time) (model.Token, string, error) {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return model.Token{}, "", err
	}
	secret := tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	now = now.UTC().Truncate(time.Microsecond)
	t := model.Token{ID: model.NewID(now), Source: source, Name: orElse(line(name), now.Format("2006-01-02 15:04")), Hash: tokenHash(secret), CreatedAt: now}
	if life > 0 {
		end := now.Add(life)
		t.ExpiresAt = &end
	}
	if err := db.AddToken(ctx, t); err != nil {
		return model.Token{}, "", fmt.Errorf("store the token: %w", err)
	}
	return t, secret, db.AddAudit(ctx, tokenAudit(now, actor, "token.new", t))
}

// tokenHash is all that is kept of a secret.
func tokenHash(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

func tokenAudit(now time.Time, actor, action string, t model.Token) model.AuditEntry {
	return model.AuditEntry{ID: model.NewID(now), At: now, Actor: actor, Action: action, Source: t.Source, Subject: t.ID, Detail: "{}"}
}

func (a *app) printNewToken(t model.Token, secret string) error {
	if a.json() {
		v := tokenView(t, a.now())
		v.Secret = secret
		return a.printJSON(tokenDocument{"jmld.token/1", v})
	}
	fmt.Fprintf(a.stderr, "token %s of source %s, %s; it is shown only now:\n", t.ID, t.Source, expiry(t))
	_, err := fmt.Fprintln(a.stdout, secret)
	return err
}

func expiry(t model.Token) string {
	if t.ExpiresAt == nil {
		return "never expires"
	}
	return "expires " + at(*t.ExpiresAt)
}

func newTokenList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list [SOURCE]",
		Short:   "Tokens, when they expire, and when they were last used",
		Example: "  jmld token list entra",
		Args:    atMost(1),

		ValidArgsFunction: a.completeSource(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				source := ""
				if len(args) == 1 {
					source = args[0]
					if err := s.needPushed(source); err != nil {
						return err
					}
				}
				return a.listTokens(ctx, s, source)
			})
		},
	}
}

func (a *app) listTokens(ctx context.Context, s *site, source string) error {
	all, err := s.store.Tokens(ctx, source)
	if err != nil {
		return err
	}
	doc := tokensJSON{Schema: "jmld.tokens/1", Tokens: []tokenJSON{}}
	t := newTable(a.stdout)
	t.row("TOKEN", "SOURCE", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USED")
	for _, tok := range all {
		doc.Tokens = append(doc.Tokens, tokenView(tok, a.now()))
		t.row(tok.ID, tok.Source, tok.Name, tokenState(tok, a.now()), at(tok.CreatedAt), orElse(atPtr(tok.ExpiresAt), "never"), orElse(atPtr(tok.LastUsed), "never"))
	}
	switch {
	case a.json():
		return a.printJSON(doc)
	case len(doc.Tokens) == 0:
		a.printf("there is no token: jmld token new %s\n", orElse(source, "SOURCE"))
		return nil
	}
	return t.flush()
}

func tokenView(t model.Token, now time.Time) tokenJSON {
	stamp := func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return at.UTC().Format(timeJSON)
	}
	return tokenJSON{
		ID: t.ID, Source: t.Source, Name: t.Name, State: tokenState(t, now), Created: stamp(&t.CreatedAt), Expires: stamp(t.ExpiresAt),
		LastUsed: stamp(t.LastUsed), Revoked: stamp(t.RevokedAt),
	}
}

func tokenState(t model.Token, now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked"
	case t.ExpiresAt != nil && !now.Before(*t.ExpiresAt):
		return "expired"
	case t.ExpiresAt != nil && t.ExpiresAt.Sub(now) < 30*24*time.Hour:
		return "expires soon"
	}
	return "valid"
}

func newTokenRevoke(a *app) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:     "revoke SOURCE TOKEN",
		Short:   "End a token now, in every running daemon",
		Example: "  jmld token revoke entra 01980f3c-6c1e-7b56-a1b2-5a7f3c6d8e90",
		Args:    exactly("SOURCE", "TOKEN"),

		ValidArgsFunction: a.completeSource(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.revoke(ctx, s, args[0], args[1], a.operator(by))
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "`name` of the person who asks (default: your account here)")
	return cmd
}

func (a *app) revoke(ctx context.Context, s *site, source, id, actor string) error {
	if err := s.needPushed(source); err != nil {
		return err
	}
	err := s.store.RevokeToken(ctx, source, id)
	if errors.Is(err, model.ErrNotFound) {
		return notFound("there is no token %q of source %s: `jmld token list %s` lists them", line(id), source, source)
	}
	if err != nil {
		return err
	}
	t := model.Token{ID: id, Source: source}
	if err := s.store.AddAudit(ctx, tokenAudit(a.now().UTC(), actor, "token.revoke", t)); err != nil {
		return err
	}
	// Whoever reads the answer may rely on it: by then every daemon has read the tokens again.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(tokenSettle):
	}
	if a.json() {
		return a.printRevoked(ctx, s, source, id)
	}
	a.printf("token %s of source %s is revoked\n", id, source)
	return nil
}

func (a *app) printRevoked(ctx context.Context, s *site, source, id string) error {
	all, err := s.store.Tokens(ctx, source)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.ID == id {
			return a.printJSON(tokenDocument{"jmld.token/1", tokenView(t, a.now())})
		}
	}
	return model.ErrNotFound
}
