package mdm

import (
	"errors"
	"slices"
	"strings"
)

// PreProvisioning returns the context items of a device that is pre-provisioned
// (white glove) for an Entra join: ItemWhiteGlove, ItemNotInOOBE with false, and
// ItemZeroTouch with ztdID, the GUID of the device's Autopilot registration; if
// ztdID is empty, that item is left out. The caller owns the slice.
func PreProvisioning(ztdID string) []Item { return occasion(ItemWhiteGlove, ztdID) }

// SelfDeploying returns the context items of a device that deploys itself,
// without a user. It is as [PreProvisioning], with ItemSelfDeploy in the place of
// ItemWhiteGlove.
func SelfDeploying(ztdID string) []Item { return occasion(ItemSelfDeploy, ztdID) }

func occasion(name, ztdID string) []Item {
	var items []Item
	if ztdID != "" {
		items = append(items, Item{ItemZeroTouch, ztdID})
	}
	return append(items, BoolItem(name, true), BoolItem(ItemNotInOOBE, false))
}

// withoutUser are the items that tell why a device enrolls with a token of its
// own. Intune refuses such a token without one of them: "Device based token is
// not supported for enrollment type UserCorporateWithAAD".
var withoutUser = []string{ItemWhiteGlove, ItemHybrid, ItemSelfDeploy, ItemAzureVM}

// errNoOccasion means that a request with a token of the device has none of the
// items in withoutUser.
var errNoOccasion = errors.New("a token of a device, not of a user, needs one of the context items " +
	strings.Join(withoutUser, ", ") + " in Request.Context, which PreProvisioning and SelfDeploying return")

// checkOccasion returns errNoOccasion if a credential is a token of a device, and
// items tell no reason why a device enrolls without a user.
func checkOccasion(with Credential, items []Item) error {
	t, ok := with.(Token)
	if !ok || slices.ContainsFunc(items, func(i Item) bool { return slices.Contains(withoutUser, i.Name) }) {
		return nil
	}
	if claims, err := t.Claims(); err != nil || !claims.ofDevice() {
		return nil
	}
	return errNoOccasion
}
