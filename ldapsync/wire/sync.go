package wire

import (
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// opIntermediate is an IntermediateResponse, RFC 4511 §4.13. Servers send it to who asked for it with a control only.
const opIntermediate = 0x79

const oidSyncInfo = "1.3.6.1.4.1.4203.1.9.1.4" // RFC 4533 §2.5

// UUID is the id of an entry, RFC 4533 §2.1.
type UUID [16]byte

// String spells it as RFC 4530 §2.1 does.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// SyncState is what an entry of a refresh is, RFC 4533 §2.2.
type SyncState int

// The states.
const (
	SyncPresent SyncState = iota
	SyncAdd
	SyncModify
	SyncDelete
)

// Refresh is the end of a search with the Sync Request Control.
type Refresh struct {
	Done
	Synced         bool   // the server sent the Sync Done Control
	Cookie         []byte // the newest of the server's; nil: none
	RefreshDeletes bool   // whoever is gone was named, RFC 4533 §2.4; else whoever was not named is gone
	Presents       bool   // entries were named that are unchanged
}

// Refresh asks for what changed since the cookie, RFC 4533 §3.3, in mode refreshOnly. Each entry is handed to each with its state, and
// ids that the server names alone to named: present ones, or those that are gone. A state, a message or a control of this protocol that
// is not understood is an error.
func (c *Conn) Refresh(s Search, cookie []byte, each func(*Entry, UUID, SyncState) error, named func(id UUID, present bool) error) (Refresh, error) {
	var d Refresh
	s.PageSize = 0 // RFC 4533 says nothing of pages
	s.Controls = append(s.Controls, ldap.NewControlSyncRequest(ldap.SyncRequestModeRefreshOnly, cookie, false))
	op, controls, err := s.encode()
	if err != nil {
		return d, err
	}
	if err := c.send(op, controls); err != nil {
		return d, err
	}
	for {
		m, err := c.receive()
		if err != nil {
			return d, err
		}
		switch m.op {
		case opSearchEntry:
			id, state, err := d.state(m.controls)
			if err == nil {
				err = c.entry(m)
			}
			if err != nil {
				return d, c.fail(err)
			}
			d.Entries++
			if err := each(&c.e, id, state); err != nil {
				return d, err
			}
		case opSearchReference:
			if err := d.refer(m); err != nil {
				return d, c.fail(err)
			}
		case opIntermediate:
			own, err := d.info(m, named)
			if own != nil {
				return d, own
			}
			if err != nil {
				return d, c.fail(err)
			}
		case opSearchDone:
			if _, err := c.result(m); err != nil {
				return d, err
			}
			if err := d.done(m.controls); err != nil {
				return d, c.fail(err)
			}
			return d, nil
		default:
			return d, c.unexpected(m)
		}
	}
}

// control finds the one control with the OID.
func control(controls []byte, oid string) (value []byte, found bool, err error) {
	for len(controls) > 0 {
		name, v, rest, err := nextControl(controls)
		if err != nil {
			return nil, false, err
		}
		if controls = rest; name != oid {
			continue
		}
		if found {
			return nil, false, errors.New("the server sent a control twice")
		}
		value, found = v, true
	}
	return value, found, nil
}

// state reads the Sync State Control, RFC 4533 §2.2.
func (d *Refresh) state(controls []byte) (id UUID, state SyncState, err error) {
	value, found, err := control(controls, ldap.ControlTypeSyncState)
	if err != nil {
		return id, 0, err
	}
	if !found {
		return id, 0, errors.New("the server sent an entry without its synchronization state")
	}
	seq, rest, err := expect(value, tagSequence)
	if err != nil || len(rest) > 0 {
		return id, 0, errMalformed
	}
	kind, seq, err := expect(seq, tagEnumerated)
	if err != nil {
		return id, 0, err
	}
	n, err := number(kind)
	if err != nil || n > int64(SyncDelete) {
		return id, 0, errors.New("the server sent an entry in an unknown synchronization state")
	}
	uuid, seq, err := expect(seq, tagOctets)
	if err != nil || copy(id[:], uuid) != len(id) || len(uuid) != len(id) {
		return id, 0, errMalformed
	}
	if seq, err = d.cookie(seq); err != nil || len(seq) > 0 {
		return id, 0, errMalformed
	}
	return id, SyncState(n), nil
}

// cookie takes an optional cookie off b.
func (d *Refresh) cookie(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != tagOctets {
		return b, nil
	}
	c, rest, err := expect(b, tagOctets)
	if len(c) > 0 {
		d.Cookie = append([]byte(nil), c...)
	}
	return rest, err
}

// flag takes an optional BOOLEAN off b.
func flag(b []byte, otherwise bool) (bool, []byte, error) {
	const tagBoolean = 0x01
	if len(b) == 0 || b[0] != tagBoolean {
		return otherwise, b, nil
	}
	v, rest, err := expect(b, tagBoolean)
	if err != nil || len(v) != 1 {
		return otherwise, nil, errMalformed
	}
	return v[0] != 0, rest, nil
}

// done reads the Sync Done Control, RFC 4533 §2.4.
func (d *Refresh) done(controls []byte) error {
	value, found, err := control(controls, ldap.ControlTypeSyncDone)
	if err != nil || !found {
		return err
	}
	d.Synced = true
	seq, rest, err := expect(value, tagSequence)
	if err != nil || len(rest) > 0 {
		return errMalformed
	}
	if seq, err = d.cookie(seq); err != nil {
		return err
	}
	if d.RefreshDeletes, seq, err = flag(seq, false); err != nil || len(seq) > 0 {
		return errMalformed
	}
	return nil
}

// info reads a Sync Info Message, RFC 4533 §2.5. own is an error of named.
func (d *Refresh) info(m message, named func(UUID, bool) error) (own, err error) {
	const nameTag, valueTag = 0x80, 0x81
	name, rest, err := expect(m.body, nameTag)
	if err != nil {
		return nil, err
	}
	if string(name) != oidSyncInfo {
		return nil, fmt.Errorf("the server sent an intermediate response (%q) that does not belong here", name)
	}
	value, rest, err := expect(rest, valueTag)
	if err != nil || len(rest) > 0 {
		return nil, errMalformed
	}
	v, rest, err := next(value)
	if err != nil || len(rest) > 0 {
		return nil, errMalformed
	}
	switch v.tag {
	case 0x80: // newcookie
		if len(v.body) > 0 {
			d.Cookie = append([]byte(nil), v.body...)
		}
		return nil, nil
	case 0xa1, 0xa2: // refreshDelete, refreshPresent
		d.Presents = d.Presents || v.tag == 0xa2
		b, err := d.cookie(v.body)
		if err != nil {
			return nil, err
		}
		if _, b, err = flag(b, true); err != nil || len(b) > 0 {
			return nil, errMalformed
		}
		return nil, nil
	case 0xa3:
		return d.idSet(v.body, named)
	}
	return nil, fmt.Errorf("the server sent an unknown synchronization message (%#02x)", v.tag)
}

// idSet reads ids without entries.
func (d *Refresh) idSet(b []byte, named func(UUID, bool) error) (own, err error) {
	if b, err = d.cookie(b); err != nil {
		return nil, err
	}
	deletes, b, err := flag(b, false)
	if err != nil {
		return nil, err
	}
	set, b, err := expect(b, tagSet)
	if err != nil || len(b) > 0 {
		return nil, errMalformed
	}
	d.Presents = d.Presents || !deletes
	for len(set) > 0 {
		var v []byte
		if v, set, err = expect(set, tagOctets); err != nil {
			return nil, err
		}
		var id UUID
		if len(v) != len(id) {
			return nil, errMalformed
		}
		copy(id[:], v)
		if err := named(id, !deletes); err != nil {
			return err, nil
		}
	}
	return nil, nil
}
