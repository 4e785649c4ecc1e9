// Package logs makes the logger of the daemon: one line for each thing that happened, as JSON for machines or as text
// for a terminal, with the field names of model and nothing that is secret.
package logs

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"jmld/model"
)

// Keys every line has, beside the fields of model.
const (
	KeyTime    = "time"
	KeyLevel   = "level"
	KeyMessage = "message"
	KeyLogger  = "logger"
	KeyStack   = "stack"
)

// The formats.
const (
	JSON    = "json"
	Console = "console"
)

// New makes a logger that writes lines of at least the level ("debug", "info", "warn", "error") to w, one Write for
// each line and one line at a time. Empty format and level mean JSON and info. Nothing is sampled or buffered: a line
// that was logged is written.
func New(format, level string, w io.Writer) (*zap.Logger, error) {
	lv := zapcore.InfoLevel
	switch level {
	case "", "info":
	case "debug":
		lv = zapcore.DebugLevel
	case "warn":
		lv = zapcore.WarnLevel
	case "error":
		lv = zapcore.ErrorLevel
	default:
		return nil, model.Errorf(model.CodeConfig, "log level %q: expected debug, info, warn or error", level)
	}
	enc, err := encoder(format)
	if err != nil {
		return nil, err
	}
	core := zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), lv)
	return zap.New(core, zap.ErrorOutput(zapcore.Lock(zapcore.AddSync(w)))), nil
}

func encoder(format string) (zapcore.Encoder, error) {
	c := zapcore.EncoderConfig{
		TimeKey: KeyTime, LevelKey: KeyLevel, MessageKey: KeyMessage, NameKey: KeyLogger, StacktraceKey: KeyStack,
		LineEnding: zapcore.DefaultLineEnding, EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeName: zapcore.FullNameEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
	}
	switch format {
	case "", JSON:
		c.EncodeTime = utc("2006-01-02T15:04:05.000000Z")
		return zapcore.NewJSONEncoder(c), nil
	case Console:
		c.EncodeTime = utc("15:04:05.000")
		c.EncodeDuration = zapcore.StringDurationEncoder
		c.EncodeLevel = func(l zapcore.Level, e zapcore.PrimitiveArrayEncoder) {
			e.AppendString(fmt.Sprintf("%-5s", l.String()))
		}
		c.ConsoleSeparator = "  "
		return zapcore.NewConsoleEncoder(c), nil
	}
	return nil, model.Errorf(model.CodeConfig, "log format %q: expected json or console", format)
}

// utc writes times in UTC whatever the machine's zone is.
func utc(layout string) zapcore.TimeEncoder {
	return func(t time.Time, e zapcore.PrimitiveArrayEncoder) { e.AppendString(t.UTC().Format(layout)) }
}
