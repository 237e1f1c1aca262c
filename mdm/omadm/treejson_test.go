package omadm_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A tree is the same after it was stored, with names that have to be escaped.
func TestTreeJSON(t *testing.T) {
	var tree, again omadm.Tree
	values := map[string]omadm.Value{
		"./Device/Vendor/MSFT/Policy/A":        {Format: "int", Data: "1"},
		"./Device/Vendor/MSFT/Policy/B%20B":    {Type: "text/plain", Data: "<a & b>\n"},
		"./Device/Vendor/MSFT/MSI/%7B1%2F2%7D": {Data: ""},
		"./User/Vendor/MSFT/Policy/C":          {Format: "bool", Data: "true"},
	}
	for uri, v := range values {
		if !tree.Set(uri, v) {
			t.Fatal(uri)
		}
	}
	text, err := json.Marshal(&tree)
	if err != nil {
		t.Fatal(err)
	}
	again.Set("./Device/Vendor/MSFT/Own", omadm.Value{Data: "kept"})
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	values["./Device/Vendor/MSFT/Own"] = omadm.Value{Data: "kept"}
	for uri, want := range values {
		if got, ok := again.Get(uri); !ok || got != want {
			t.Errorf("%s is %+v, %v", uri, got, ok)
		}
	}
	for _, bad := range []string{`[]`, `{"./a//b":{}}`, `{"./x":{"Data":1}}`, `{"./` + strings.Repeat("a/", 100) + `b":{}}`} {
		if err := json.Unmarshal([]byte(bad), &again); err == nil {
			t.Errorf("%.40s is read", bad)
		}
	}
}
