package jml

import (
	"strings"
	"time"

	"jmld/model"
)

// untilHandedOver marks the reason of an account that would be gone if its person owned nothing.
const untilHandedOver = "; it is deleted when what the person owns is handed over"

// How soon after somebody who owns apps has left they are handed over, and how often that is tried again.
const (
	handOverSoon  = time.Second
	handOverAgain = time.Hour
)

// owner: who leaves hands over first. Deactivation can be undone and does not wait, deletion does.
func (w *situation) owner() {
	if w.verdict != take {
		return
	}
	if w.owned = w.Access.Owns(); len(w.owned) == 0 {
		return
	}
	w.found(model.CodeAccessOwner, "leaves and owns %s", strings.Join(w.owned, ", "))
	again := handOverSoon
	if w.Identity != nil && strings.Contains(w.Identity.Findings, string(model.CodeAccessOwner)) {
		again = handOverAgain
	}
	w.soon(w.Now, w.Now.Add(again))
}

// handedOver deletes what waited only for that.
func (w *situation) handedOver(acct model.Account, why model.Reason) *Step {
	if w.verdict != take || acct.Origin != model.OriginOurs || !strings.Contains(why.Text, untilHandedOver) {
		return nil
	}
	next := acct
	next.State, next.Priority = model.AccountAbsent, 0
	return w.step(&acct, next, model.OpDelete, model.EventLeaver, model.Reason{Rule: why.Rule, Text: strings.Replace(why.Text, untilHandedOver, "; handed over", 1)})
}
