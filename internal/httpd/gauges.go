package httpd

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"jmld/model"
)

// Figures is what the gauges show; the store implements it.
type Figures interface {
	Tally(ctx context.Context) (model.Tally, error)
	Problems(ctx context.Context) ([]model.Problem, error)
	// RunList returns runs of all sources for source "", newest first.
	RunList(ctx context.Context, source string, limit int, before string) ([]model.Run, error)
}

const (
	figuresTTL     = 10 * time.Second // counting is a query over all accounts: several scrapers share one answer
	figuresTimeout = 5 * time.Second
	figuresRuns    = 200 // newest runs among which complete ones are looked for
)

// gauges reads the figures when somebody scrapes. When the database does not answer, the figures are missing and
// jmld_figures_up is 0: an old number would look like a true one.
type gauges struct {
	figures Figures
	log     *zap.Logger
	now     func() time.Time

	identities, accounts, unsettled, disputed, held, access, average, problems, oldest, complete, up *prometheus.Desc

	mu    sync.Mutex
	at    time.Time
	tally model.Tally
	all   []model.Problem
	reads map[string]time.Time // the newest complete read of each source; stays when only others ran since
	err   error
}

func newGauges(f Figures, log *zap.Logger, now func() time.Time) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsSpace, "", name), help, labels, nil)
	}
	return &gauges{
		figures: f, log: log, now: now, reads: map[string]time.Time{},
		identities: desc("identities", "People known, by lifecycle.", "lifecycle"),
		accounts:   desc("accounts", "Accounts by target and desired state.", model.FieldTarget, "class", model.FieldState),
		unsettled:  desc("accounts_progress", "Accounts by target and how far they are: settled, due, retrying, dead, held.", model.FieldTarget, "class", "progress"),
		disputed:   desc("records_disputed", "Records whose keys point to different people."),
		held:       desc("changes_held", "Changes that wait for approval."),
		access:     desc("access_objects", "What the tree of groups has: groups, apps, apps_owned, namespaces, namespaces_assigned, memberships.", "kind"),
		average:    desc("access_group_members_average", "Direct members of a group, on average."),
		problems:   desc("accounts_failing", "Accounts that are kept from being settled, by cause.", model.FieldTarget, model.FieldCode, "dead"),
		oldest:     desc("accounts_failing_oldest_timestamp_seconds", "Since when the oldest of them fails.", model.FieldTarget, model.FieldCode, "dead"),
		complete:   desc("source_last_complete_read_timestamp_seconds", "When the newest complete read of the source began.", model.FieldSource),
		up:         desc("figures_up", "1 if the database answered for the figures above, else 0."),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.identities, g.accounts, g.unsettled, g.disputed, g.held, g.access, g.average, g.problems, g.oldest, g.complete, g.up} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refresh()
	put := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if g.err != nil {
		put(g.up, 0)
		return
	}
	put(g.up, 1)
	for _, l := range []model.Lifecycle{model.Established, model.Active, model.Suspended, model.Archived} {
		put(g.identities, float64(g.tally.Identities[l]), string(l))
	}
	for _, a := range g.tally.Accounts {
		put(g.accounts, float64(a.Active), a.Target, string(a.Class), string(model.AccountActive))
		put(g.accounts, float64(a.Inactive), a.Target, string(a.Class), string(model.AccountInactive))
		put(g.unsettled, float64(a.Settled), a.Target, string(a.Class), "settled")
		put(g.unsettled, float64(a.Due), a.Target, string(a.Class), "due")
		put(g.unsettled, float64(a.Retrying), a.Target, string(a.Class), "retrying")
		put(g.unsettled, float64(a.Dead), a.Target, string(a.Class), "dead")
		put(g.unsettled, float64(a.Held), a.Target, string(a.Class), "held")
	}
	put(g.disputed, float64(g.tally.Disputed))
	put(g.held, float64(g.tally.Held))
	t := g.tally.Access
	for kind, n := range map[string]int{"groups": t.Groups, "apps": t.Apps, "apps_owned": t.OwnedApps, "namespaces": t.Namespaces,
		"namespaces_assigned": t.AssignedNamespaces, "memberships": t.Memberships} {
		put(g.access, float64(n), kind)
	}
	put(g.average, float64(t.Memberships)/float64(max(t.Groups, 1)))
	for _, p := range merged(g.all) {
		put(g.problems, float64(p.Count), p.Target, string(p.Code), dead(p))
		put(g.oldest, seconds(p.Oldest), p.Target, string(p.Code), dead(p))
	}
	for source, at := range g.reads {
		put(g.complete, seconds(at), source)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func dead(p model.Problem) string {
	if p.Dead {
		return "true"
	}
	return "false"
}

// merged adds up problems with the same labels: their texts differ, and a registry refuses one series twice.
func merged(all []model.Problem) []model.Problem {
	type key struct {
		target string
		code   model.Code
		dead   bool
	}
	at := map[key]int{}
	var out []model.Problem
	for _, p := range all {
		k := key{p.Target, p.Code, p.Dead}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			out = append(out, p)
			continue
		}
		out[i].Count += p.Count
		if p.Oldest.Before(out[i].Oldest) {
			out[i].Oldest = p.Oldest
		}
	}
	return out
}

func (g *gauges) refresh() {
	now := g.now()
	if age := now.Sub(g.at); !g.at.IsZero() && age >= 0 && age < figuresTTL {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), figuresTimeout) // a scrape has no context to hand on
	defer cancel()
	g.tally, g.err = g.figures.Tally(ctx)
	if g.err == nil {
		g.all, g.err = g.figures.Problems(ctx)
	}
	if g.err == nil {
		g.err = g.lookForReads(ctx)
	}
	g.at = now
	if g.err != nil {
		g.log.Warn("metrics without figures", zap.String(model.FieldCode, string(model.CodeOf(g.err))), zap.Error(g.err))
	}
}

func (g *gauges) lookForReads(ctx context.Context) error {
	runs, err := g.figures.RunList(ctx, "", figuresRuns, "")
	if err != nil {
		return err
	}
	for _, r := range runs {
		ended := r.State == model.RunSucceeded || r.State == model.RunHeld
		if ended && !r.DryRun && r.Verdict == model.VerdictComplete && r.StartedAt.After(g.reads[r.Source]) {
			g.reads[r.Source] = r.StartedAt
		}
	}
	return nil
}
