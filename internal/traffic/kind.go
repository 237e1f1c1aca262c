package traffic

import "strings"

// KindOf returns the kind of a capture by its first bytes as text, or "" for what is
// none. A list of hosts is one if all its lines are, but for empty ones and comments,
// which begin with #.
func KindOf(head string) string {
	head = strings.TrimSpace(head)
	if strings.HasPrefix(head, "{") {
		compact := strings.Join(strings.Fields(head), "")
		if strings.HasPrefix(compact, `{"log":{`) {
			return HAR
		}
		return ""
	}
	logged, listed, others := 0, 0, 0
	lines := strings.Split(head, "\n")
	if len(head) > 2000 {
		lines = lines[:len(lines)-1] // the last one may be cut
	}
	for _, line := range lines {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case parseLog(line) != nil:
			logged++
		case parseListed(line) != nil:
			listed++
		default:
			others++
		}
	}
	switch {
	case logged > others+listed:
		return ProxyLog
	case listed > 0 && others == 0:
		return HostList
	}
	return ""
}
