package provision_test

import (
	"context"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/omadm"
	"github.com/whiteglove/whiteglove/provision"
)

// How Windows tells the tenant of the owner is not public: who knows it for a
// service of his own has StepOwner done by a function, which finds in the Run
// what the steps before it won.
func ExampleRun() {
	tell := func(ctx context.Context, r *provision.Run) (resumed bool, err error) {
		if r.Session == nil {
			r.Warn(ctx, "nobody has signed in")
			return false, nil
		}
		fmt.Println("device", r.State.DeviceID, "is", r.Session.UPN)
		return false, nil
	}
	p := &provision.Provisioner{
		Steps: append(provision.UserPhase(), provision.StepOwner),
		Do:    map[provision.Step]func(context.Context, *provision.Run) (bool, error){provision.StepOwner: tell},
	}
	fmt.Println(p.Steps)
	// Output:
	// [rejoin signin owner]
}

// A User signs in twice: at a page, for the join, and to have the device's own
// session.
func ExampleUser() {
	page := func(_ context.Context, d *drs.Discovery) (drs.Token, error) {
		return "a token for " + drs.Token(d.JoinResource), nil // from the page at the tenant
	}
	user := &provision.User{
		Name:      "ada@contoso.test",
		JoinToken: page,
		SignIn:    drs.SignIn{Password: "correct horse"},
	}
	token, err := user.JoinToken(context.Background(), &drs.Discovery{JoinResource: drs.DefaultResource})
	fmt.Println(token, user.SignIn.Password, err)
	// Output:
	// [token] [token] <nil>
}

// A UserState holds nothing that another TPM could use.
func ExampleUserState() {
	state := &provision.State{User: &provision.UserState{Name: "ada@contoso.test"}}
	fmt.Println(state.User.Name, len(state.User.Session))
	// Output:
	// ada@contoso.test 0
}

// A Setup carries out what management orders, and shows how far it is.
func ExampleSetup() {
	tree := new(omadm.Tree)
	tree.Handle("./Vendor/MSFT/RemoteWipe", func(context.Context, *omadm.Operation) int {
		return 405 // not here
	})
	setup := provision.Setup{
		Tree:  tree,
		Pause: 3 * time.Minute,
		Progress: func(page *esp.Report) {
			done, total := page.Progress()
			fmt.Printf("%s: %d of %d\n", page.State, done, total)
		},
	}
	setup.Progress(&esp.Report{State: esp.InProgress, Categories: []esp.Category{{
		Name: "DeviceSetup", Steps: []esp.Step{{Name: "Apps", Done: 1, Total: 3}},
	}}})
	// Output:
	// inProgress: 1 of 3
}

// A Device is what the tenant's administrators will see.
func ExampleDevice() {
	p := &provision.Provisioner{Device: provision.Device{Name: "DEPOT-0042", OSVersion: "10.0.26100.4061"}}
	fmt.Println(p.Device.Name)
	// Output:
	// DEPOT-0042
}

// A Step is a name, and so is a Status: they print and compare as they are.
func ExampleStep() {
	for _, step := range provision.Technician()[:3] {
		fmt.Println(step, provision.Started)
	}
	// Output:
	// ek started
	// aik started
	// discover started
}

// A Status says how a try of a step ended.
func ExampleStatus() {
	ended := func(s provision.Status) bool { return s != provision.Started && s != provision.Retrying }
	fmt.Println(ended(provision.Retrying), ended(provision.Stopped), ended(provision.Resumed))
	// Output:
	// false true true
}
