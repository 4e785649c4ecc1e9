package wire

// DirSyncAnswer reads the value of the DirSync control in an answer, [MS-ADTS] §3.1.1.3.4.1.3: more says that another request is to follow.
func DirSyncAnswer(value []byte) (more bool, cookie []byte, err error) {
	seq, rest, err := expect(value, tagSequence)
	if err != nil || len(rest) > 0 {
		return false, nil, errMalformed
	}
	flags, seq, err := expect(seq, tagInteger)
	if err != nil {
		return false, nil, err
	}
	if _, seq, err = expect(seq, tagInteger); err != nil {
		return false, nil, err
	}
	c, seq, err := expect(seq, tagOctets)
	if err != nil || len(seq) > 0 || len(flags) == 0 {
		return false, nil, errMalformed
	}
	for _, b := range flags {
		more = more || b != 0
	}
	return more, append([]byte{}, c...), nil
}
