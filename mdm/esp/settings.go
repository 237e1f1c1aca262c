package esp

import (
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// settings is what a server has set for the page of one scope.
type settings struct {
	scope    string        // "./Device" or "./User"
	status   string        // LocURI of FirstSyncStatus
	there    bool          // the server has written FirstSyncStatus
	up       bool          // the scope is the device's, or its user is signed in
	finished bool          // ServerHasFinishedProvisioning
	skip     bool          // the server wants no page
	limit    time.Duration // TimeOutUntilSyncFailure
	block    int           // BlockInStatusPage
	words    string        // CustomErrorText
}

// read reads the settings of a scope. The caller holds p.mu.
func (p *Page) read(scope string) settings {
	set := settings{scope: scope, status: p.firstSync(scope), up: scope == "./Device" || p.Tree.UserContext()}
	set.there = len(p.Tree.Children(set.status)) > 0
	text := func(leaf string) string {
		v, _ := p.Tree.Get(set.status + "/" + leaf)
		return strings.TrimSpace(v.Data)
	}
	set.finished = isTrue(text("ServerHasFinishedProvisioning"))
	set.words = wire.Words(text("CustomErrorText"))
	set.skip = isTrue(text("SkipDeviceStatusPage"))
	if scope == "./User" {
		device, _ := p.Tree.Get(p.firstSync("./Device") + "/SkipUserStatusPage")
		set.skip = isTrue(text("SkipUserStatusPage")) || isTrue(device.Data)
	}
	set.limit = time.Duration(minutes(text("TimeOutUntilSyncFailure"), defaultPageMinutes, maxPageMinutes)) * time.Minute
	if set.block, _ = strconv.Atoi(text("BlockInStatusPage")); set.block == 0 && isTrue(text("BlockInStatusPage")) {
		set.block = 1 // some servers write a boolean
	}
	return set
}

// minutes reads a time in minutes, which is at most most. It returns other if
// text is no positive number.
func minutes(text string, other, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return other
	}
	return min(n, most)
}

// isTrue reports whether s is a boolean that is true.
func isTrue(s string) bool {
	return strings.EqualFold(strings.TrimSpace(s), "true") || strings.TrimSpace(s) == "1"
}
