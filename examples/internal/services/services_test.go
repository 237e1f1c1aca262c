package services

import (
	"strings"
	"testing"
)

// A password in the URL is refused, and is not in the error.
func TestUserInURL(t *testing.T) {
	if _, err := Open("https://u:hunter2@mock.test", "", nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	if s, err := Open("https://mock.test/", "", nil); err != nil || s.URL != "https://mock.test" {
		t.Errorf("%+v, %v", s, err)
	}
}
