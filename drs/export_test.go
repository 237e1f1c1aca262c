package drs

import (
	"maps"
	"slices"
)

// For tests with known answers, which need given contexts.
var (
	Derive         = derive
	SignSession    = signSession
	OpenSessionKey = openSessionKey
	OpenReply      = openReply
)

// Conversation is the label of the protocol's key derivation.
const Conversation = labelConversation

// Causes are the codes and subcodes that an Error knows.
func Causes() []string { return slices.Collect(maps.Keys(causes)) }
