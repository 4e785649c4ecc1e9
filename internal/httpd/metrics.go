package httpd

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"jmld/model"
)

const (
	scrapeTimeout  = 10 * time.Second
	scrapesAtOnce  = 4
	metricsSpace   = "jmld"
	slowRequest    = 5 * time.Second
	unknownMethods = "other"
)

// metrics is the daemon's own registry: nothing that other packages register globally.
type metrics struct {
	registry *prometheus.Registry
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	log      *zap.Logger
}

func newMetrics(o Options) (*metrics, error) {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		log:      o.Log,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: metricsSpace, Subsystem: "http", Name: "request_duration_seconds",
			Help:    "Time from the first byte of a request to the end of its answer. Its _count is the number of requests.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{model.FieldRoute, model.FieldMethod, model.FieldStatus}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: metricsSpace, Subsystem: "http", Name: "requests_in_flight", Help: "Requests being answered.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: metricsSpace, Name: "build_info", Help: "Always 1; the version is the label.",
		ConstLabels: prometheus.Labels{model.FieldVersion: o.Version},
	})
	info.Set(1)
	all := append([]prometheus.Collector{
		m.seconds, m.inFlight, info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, o.Collectors...)
	if o.Figures != nil {
		all = append(all, newGauges(o.Figures, o.Log, o.Now))
	}
	for _, c := range all {
		if err := m.registry.Register(c); err != nil {
			return nil, model.Errorf(model.CodeInternal, "register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Timeout: scrapeTimeout, MaxRequestsInFlight: scrapesAtOnce, ErrorHandling: promhttp.ContinueOnError, ErrorLog: scrapeLog{m.log},
	})
}

// scrapeLog is promhttp's logger.
type scrapeLog struct{ log *zap.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Warn("metrics", zap.String("text", fmt.Sprint(v...))) }

// measure counts a request under the route that served it, and logs the ones that went wrong or took long.
func (m *metrics) measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		m.inFlight.Inc()
		defer func() { // also when the handler aborts
			m.inFlight.Dec()
			took := time.Since(start)
			status := rec.status
			if status == 0 {
				status = http.StatusOK // net/http answers that for a handler that writes nothing
			}
			m.seconds.WithLabelValues(route(r), method(r.Method), strconv.Itoa(status)).Observe(took.Seconds())
			write := m.log.Debug
			if status >= http.StatusInternalServerError || took >= slowRequest {
				write = m.log.Warn
			}
			write("request", zap.String(model.FieldRequest, r.Header.Get(requestID)), zap.String(model.FieldMethod, method(r.Method)),
				zap.String(model.FieldRoute, route(r)), zap.Int(model.FieldStatus, status), zap.Duration(model.FieldDuration, took),
				zap.String(model.FieldRemote, r.RemoteAddr))
		}()
		next.ServeHTTP(rec, r)
	})
}

// method keeps made-up methods out of the labels.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return unknownMethods
}
