package provisiontest

import "github.com/whiteglove/whiteglove/mdm/mdmtest"

// policy is the node of the policy that the management server sets by default.
const policy = "./Device/Vendor/MSFT/Policy/Config/Mock/SetUp"

// setUp returns the commands that the management server gives by default: to show
// the enrollment status page until a policy is set.
func setUp() []mdmtest.Command {
	return []mdmtest.Command{
		mdmtest.Page(map[string]string{"ExpectedPolicies": policy, "TimeOutUntilSyncFailure": "60", "BlockInStatusPage": "1"}),
		mdmtest.Atomic(mdmtest.Write("Replace", policy, "int", "1")),
		mdmtest.Page(map[string]string{"ServerHasFinishedProvisioning": "true"}),
	}
}
