// Package console shows an operator what jmld knows and does, and takes the two decisions that need a human: letting go
// what the guard holds, and trying failed accounts again. It is server-rendered HTML with one style sheet: no script,
// no build step, nothing from other hosts.
//
// Every page is a question to View; the console decides nothing itself. What a page shows is what the command line
// shows: the same values, symbols (+ ~ ! ^ - ?) and error codes. Filters live in the URL. Red means that somebody must
// act; nothing is told by colour alone.
//
// Who may come in: without a token only requests from this machine, to a loopback name, so that a web page elsewhere
// cannot reach it through a name that resolves to 127.0.0.1. With a token: whoever presents it, by form or as bearer.
package console
