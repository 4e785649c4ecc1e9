// Package simulate plays the life of an invented company against the real engine and a real database, on a clock that is put forward: people
// are hired, change department, marry, take a leave, leave and return; partners send teams and take them back; two sources tell of
// them, late and in contradiction; and now and then a directory breaks. Each night an oracle that knows the truth looks at every account.
//
// The oracle shares no code with the packages that decide: it is a loop over the people with a few ifs.
package simulate
